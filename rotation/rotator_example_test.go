package rotation_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"time"

	"github.com/keybearer/keybearer/rotation"
	"github.com/keybearer/keybearer/rotation/rotationtest"
)

// A program that rotates a key for as long as it runs. openaiadmin and the
// stores beside this package stand where a test's stand here.
func ExampleRotator_Run() {
	issuer, store := rotationtest.NewService().Issuer("svc_1"), rotationtest.NewMemory("example")
	rotator, err := rotation.NewRotator(issuer, store, &rotation.RotatorOptions{
		Schedule: rotation.Every(14 * 24 * time.Hour),
		Logger:   slog.New(slog.DiscardHandler),
		OnEvent: func(e rotation.RotatorEvent) {
			if e.Kind == rotation.RotationPromoted {
				fmt.Println("a new key serves")
			}
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := context.WithTimeout(context.Background(), time.Second) // signal.NotifyContext, in a program
	defer stop()
	if err := rotator.Run(ctx); err != nil {
		log.Fatal(err)
	}
	// Output: a new key serves
}

// A job that is started every hour takes the steps that can be taken.
func ExampleRotator_Step() {
	issuer, store := rotationtest.NewService().Issuer("svc_1"), rotationtest.NewMemory("example")
	rotator, err := rotation.NewRotator(issuer, store, &rotation.RotatorOptions{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		log.Fatal(err)
	}
	for {
		progress, err := rotator.Step(context.Background())
		if errors.Is(err, rotation.ErrStopped) {
			log.Fatal(err) // somebody has to look
		}
		if err != nil || progress.Waiting() {
			fmt.Println(progress.Phase, err)
			break
		}
	}
	// Output: idle <nil>
}

// A plan says what would happen, and does nothing.
func ExampleRotator_Plan() {
	issuer, store := rotationtest.NewService().Issuer("svc_1"), rotationtest.NewMemory("example")
	rotator, err := rotation.NewRotator(issuer, store, nil)
	if err != nil {
		log.Fatal(err)
	}
	plan, err := rotator.Plan(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	for _, step := range plan.Steps[1:] {
		fmt.Println(step.Do)
	}
	// Output:
	// stage it, and test it
	// make the new key the current one
	// clear the stage
}
