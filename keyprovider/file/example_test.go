package file_test

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/file"
)

func Example() {
	// A secret that Docker mounts; a Kubernetes volume's file looks the same.
	provider, err := file.New("/run/secrets/example_openai", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	// A rotation.Source calls Fetch, Watch and PollInterval.
	_, err = provider.Fetch(context.Background(), "")
	fmt.Println(provider.PollInterval(), errors.Is(err, keyprovider.ErrNotFound))
	fmt.Println(err)
	// Output:
	// 10s true
	// keyprovider: file:/run/secrets/example_openai: not found: there is no such file: write the key there, or mount the secret
}

func Example_dir() {
	// Nothing leads out of Dir, whatever name the configuration gives.
	_, err := file.New("../shadow", &file.Options{Dir: "/run/secrets"})
	fmt.Println(err)
	// Output: keyprovider: file: invalid: the path leads out of Options.Dir: give the file's name within it
}

func ExampleNewCredential() {
	// The unit has LoadCredential=openai:/etc/keys/openai.
	os.Setenv("CREDENTIALS_DIRECTORY", "/run/credentials/app.service")
	defer os.Unsetenv("CREDENTIALS_DIRECTORY")

	provider, err := file.NewCredential("openai", nil)
	fmt.Println(provider, err)
	// Output: file:/run/credentials/app.service/openai <nil>
}

func Example_open() {
	// A URI from the program's configuration names the file, and the field of
	// the JSON object in it that holds the key.
	provider, err := keyprovider.Open(context.Background(), "file:///run/secrets/example_openai?field=token")
	fmt.Println(keyprovider.Name(provider), err)
	// Output: file:/run/secrets/example_openai <nil>
}
