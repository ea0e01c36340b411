package rotation_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/env"
	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
	"github.com/keybearer/keybearer/rotation"
)

func ExampleNewSource() {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second) // bounds the wait for the first key
	defer cancel()
	provider, err := env.New("OPENAI_API_KEY", nil)
	if err != nil {
		log.Fatal(err)
	}
	keys, err := rotation.NewSource(ctx, provider, &rotation.SourceOptions{
		MaxStale: 24 * time.Hour, // a store that is away for a day is an outage
	})
	if err != nil {
		log.Fatal(err)
	}
	defer keys.Close()
}

// In a test, a scripted provider stands for the store.
func ExampleSource_Refresh() {
	store := keyprovidertest.NewFake(keyprovidertest.NewSecret())
	keys, err := rotation.NewSource(context.Background(), store, &rotation.SourceOptions{MinRefresh: -1})
	if err != nil {
		log.Fatal(err)
	}
	defer keys.Close()

	store.Set(keyprovidertest.NewSecret()) // somebody rotates
	if err := keys.Refresh(context.Background()); err != nil {
		log.Fatal(err)
	}
	fmt.Println(keys.Status().Version)
	// Output: 2
}

// Changed serves what is derived from the key.
func ExampleSource_Changed() {
	store := keyprovidertest.NewFake(keyprovidertest.NewSecret())
	keys, err := rotation.NewSource(context.Background(), store, nil)
	if err != nil {
		log.Fatal(err)
	}

	changed := keys.Changed()
	store.Set(keyprovidertest.NewSecret())
	store.Notify()
	<-changed
	fmt.Println("swapped to version", keys.Status().Version)
	keys.Close()
	// Output: swapped to version 2
}

// The transport does this for every request.
func ExampleSource_Reject() {
	keys, err := rotation.NewSource(context.Background(), keyprovidertest.Static(keyprovidertest.NewSecret()), nil)
	if err != nil {
		log.Fatal(err)
	}
	defer keys.Close()

	key, err := keys.Key(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	_, err = keys.Reject(context.Background(), key)
	fmt.Println(errors.Is(err, keyprovider.ErrNoReplacement))
	// Output: true
}
