// Package rotationtest helps to test what a rotation is made of, and programs
// that rotate.
//
// # Testing a program that rotates
//
// [Memory] is a rotation.Store in memory, [Service] a service with keys, whose
// [Service.Issuer] is a rotation.Issuer. Both do what the test tells them: fail,
// hang, lose answers, lag behind. Both work in the virtual time of
// testing/synctest, where thirty days pass in a moment.
//
//	synctest.Test(t, func(t *testing.T) {
//		service := rotationtest.NewService()
//		store := rotationtest.NewMemory("test")
//		rotator, err := rotation.NewRotator(service.Issuer("svc_1"), store, nil)
//		...
//	})
//
// # Testing a store or an issuer
//
// [RunStore] and [RunIssuer] are the conformance suites that every backend of
// this module passes. They test each numbered obligation of rotation.Store and
// rotation.Issuer. A backend of your own passes by way of a [StoreHarness] or
// an [IssuerHarness]: a function that makes it together with the place that it
// works on, and the means to make that place fail. Run them with -race, and look
// at what is skipped (go test -v): each function that the harness lacks leaves
// an obligation untested.
//
// # Compatibility
//
// A later version of this package may test more. Use field names in literals
// of its structs, which may grow.
package rotationtest
