package keyprovidertest_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
)

// In a test file, TestConformance calls Run for a provider of one's own.
func ExampleRun() {
	_ = func(t *testing.T) {
		keyprovidertest.Run(t, keyprovidertest.Harness{New: newPlace})
	}
}

// newPlace makes a place for each subtest: here, a file in a directory of its own.
func newPlace(tb testing.TB) *keyprovidertest.Place {
	path := filepath.Join(tb.TempDir(), "key")
	return &keyprovidertest.Place{
		Provider: diskette(path),
		Set: func(value []byte) {
			next := path + ".next"
			if err := errors.Join(os.WriteFile(next, value, 0o600), os.Rename(next, path)); err != nil {
				tb.Error(err)
			}
		},
		Delete: func() {
			if err := os.Remove(path); err != nil {
				tb.Error(err)
			}
		},
	}
}

// diskette is a provider as small as one can be.
type diskette string

func (d diskette) String() string { return "diskette" }

func (d diskette) Fetch(ctx context.Context, _ keyprovider.Version) (*keyprovider.Key, error) {
	if err := ctx.Err(); err != nil {
		return nil, d.failure(keyprovider.ErrUnavailable, err)
	}
	value, err := os.ReadFile(string(d))
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, d.failure(keyprovider.ErrNotFound, err)
	case err != nil:
		return nil, d.failure(keyprovider.ErrUnavailable, err)
	}
	return keyprovider.ParseKey(value, "", keyprovider.Info{})
}

func (d diskette) failure(class, cause error) error {
	return &keyprovider.Error{Provider: d.String(), Class: class, Err: cause}
}

// The smallest provider of the documentation is a good one.
func TestExampleRun(t *testing.T) {
	keyprovidertest.Run(t, keyprovidertest.Harness{New: newPlace})
}

func ExampleFake() {
	ctx := context.Background()
	store := keyprovidertest.NewFake(keyprovidertest.NewSecret())
	key, err := store.Fetch(ctx, "")
	fmt.Println(key.Version(), err)

	store.Set(keyprovidertest.NewSecret()) // somebody rotates the key
	key, err = store.Fetch(ctx, key.Version())
	fmt.Println(key.Version(), err)

	store.Fail(keyprovider.ErrUnavailable) // the store goes down
	_, err = store.Fetch(ctx, key.Version())
	fmt.Println(err)

	store.Fail(nil) // and comes back
	_, err = store.Fetch(ctx, key.Version())
	fmt.Println(err, store.Fetches())
	// Output:
	// 1 <nil>
	// 2 <nil>
	// keyprovider: fake: unavailable: the test says so
	// keyprovider: not modified 4
}

func ExampleFake_Next() {
	secret := keyprovidertest.NewSecret()
	store := keyprovidertest.NewFake(secret)
	store.Next(
		keyprovidertest.Step{Err: keyprovider.ErrDenied},
		keyprovidertest.Step{Err: errors.New("of no class")},
	)
	for range 3 {
		_, err := store.Fetch(context.Background(), "")
		fmt.Println(keyprovider.Class(err))
	}
	// Output:
	// access denied
	// unavailable
	// <nil>
}

func ExampleStatic() {
	keys := keyprovidertest.Static(keyprovidertest.NewSecret())
	key, err := keys.Fetch(context.Background(), "")
	fmt.Println(keyprovider.Name(keys), key != nil, err)
	// Output: static true <nil>
}

func ExampleLeaks() {
	secret := keyprovidertest.NewSecret()
	output := fmt.Sprintf("request failed: %v", map[string][]byte{"Authorization": []byte(secret)})
	fmt.Println(keyprovidertest.Leaks(output, secret))
	// Output: true
}
