package env_test

import (
	"context"
	"fmt"
	"os"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/env"
	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
)

func Example() {
	// Set by whoever starts the program.
	os.Setenv("EXAMPLE_API_KEY", keyprovidertest.NewSecret())
	defer os.Unsetenv("EXAMPLE_API_KEY")

	provider, err := env.New("EXAMPLE_API_KEY", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	// A rotation.Source calls Fetch; a program seldom does.
	key, err := provider.Fetch(context.Background(), "")
	fmt.Println(provider, len(key.Fingerprint()), err)
	// Output: env:EXAMPLE_API_KEY 12 <nil>
}

func Example_unset() {
	provider, err := env.New("EXAMPLE_API_KEY", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = provider.Fetch(context.Background(), "")
	fmt.Println(err)
	// Output: keyprovider: env:EXAMPLE_API_KEY: not found: set EXAMPLE_API_KEY to the key, or EXAMPLE_API_KEY_FILE to the path of a file that holds it
}

func Example_open() {
	// A URI from the program's configuration names the variable.
	provider, err := keyprovider.Open(context.Background(), "env://EXAMPLE_API_KEY")
	fmt.Println(keyprovider.Name(provider), err)
	// Output: env:EXAMPLE_API_KEY <nil>
}
