package rotationtest_test

import (
	"context"
	"fmt"
	"time"

	"github.com/keybearer/keybearer/rotation"
	"github.com/keybearer/keybearer/rotation/rotationtest"
)

// A rotation from end to end, without a server. In a test, run it within
// synctest.Test, where a day passes in a moment.
func Example() {
	ctx := context.Background()
	service := rotationtest.NewService()
	store := rotationtest.NewMemory("example")
	rotator, err := rotation.NewRotator(service.Issuer("svc_1"), store, &rotation.RotatorOptions{
		Overlap: -1, Quiet: -1, // outside of a test: never
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for range 20 {
		progress, err := rotator.Step(ctx)
		if err != nil || progress.Phase == rotation.PhaseIdle && progress.Waiting() {
			fmt.Println(progress.Phase, err)
			break
		}
	}
	key, err := store.Reader().Fetch(ctx, "")
	fmt.Println(key != nil && service.Call(key) == nil, err, len(service.Keys()))
	// Output:
	// idle <nil>
	// true <nil> 1
}

// A store that fails, for a test of a program that has to cope.
func ExampleMemory_lose() {
	store := rotationtest.NewMemory("example")
	restore := store.Lose()
	_, err := store.SetState(context.Background(), []byte("{}"), "")
	fmt.Println(err)
	restore()
	doc, _, err := store.State(context.Background())
	fmt.Printf("%s %v\n", doc, err)
	// Output:
	// keyprovider: memory:example: unavailable: the answer was lost: the test says so
	// {} <nil>
}

// A key takes a while to be known everywhere.
func ExampleService_Spread() {
	service := rotationtest.NewService()
	service.Spread(time.Hour)
	key, err := service.Issuer("svc_1").Issue(context.Background(), "a name", 24*time.Hour)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(service.Call(key))
	// Output: keyprovider: service: access denied: the key is not known everywhere yet
}
