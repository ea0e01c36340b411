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
package keyprovidertest
