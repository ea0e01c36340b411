// Package keyprovidertest helps to test what provides keys and what uses them.
//
// # Testing code that uses keys
//
// [Static] is a provider with a key that never changes, [Fake] one that does
// what the test tells it: rotate the key, fail, be slow, hang, panic. Both work
// in the virtual time of testing/synctest. [NewSecret] makes keys for them, and
// [Leaks] searches a program's output for one.
//
//	secret := keyprovidertest.NewSecret()
//	store := keyprovidertest.NewFake(secret)
//	keys, err := rotation.NewSource(ctx, store, nil)
//	...
//	store.Set(keyprovidertest.NewSecret())
//	store.Notify()
//
// None of this is for programs: a key belongs in a place that a provider reads.
//
// # Testing a provider
//
// [Run] is the conformance suite that every backend of this module passes. It
// tests each numbered obligation of keyprovider.KeyProvider, and those of
// keyprovider.Watcher and keyprovider.Poller where they are implemented. A
// provider of your own passes it by way of a [Harness]: a function that makes
// the provider together with a [Place], which says how to change what the
// provider reads, and how to make it fail.
//
//	func TestConformance(t *testing.T) {
//		keyprovidertest.Run(t, keyprovidertest.Harness{
//			New: func(tb testing.TB) *keyprovidertest.Place {
//				server := startFakeStore(tb)
//				provider, err := mystore.New(server.URL, nil)
//				if err != nil {
//					tb.Fatal(err)
//				}
//				return &keyprovidertest.Place{
//					Provider: provider,
//					Set:      server.Store,
//					Delete:   server.Delete,
//					Fail:     server.FailWith,
//					Hang:     server.Hang,
//				}
//			},
//		})
//	}
//
// Run it with -race, and look at what it skips (go test -v): each function
// that the Place lacks leaves an obligation untested.
//
// # Compatibility
//
// A later version of this package may test more. Use field names in literals
// of Harness, Place and Step, which may grow.
package keyprovidertest
