package filestore_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/rotation/filestore"
)

func Example() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)

	// The path is the one that the applications' file provider reads.
	store, err := filestore.New(filepath.Join(dir, "openai"), nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	// A rotation.Rotator calls Current, Stage, Promote and the rest.
	_, _, err = store.Current(context.Background())
	fmt.Println(errors.Is(err, keyprovider.ErrNotFound))
	// Output: true
}
