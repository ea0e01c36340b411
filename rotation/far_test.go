package rotation_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
	"github.com/keybearer/keybearer/rotation"
)

// Stores write a year far away where they mean "never". That is more than a
// time.Duration can hold.
func TestTimesFarAway(t *testing.T) {
	for _, year := range []int{2100, 2330, 9999} {
		at := time.Date(year, 12, 31, 23, 59, 59, 0, time.UTC)
		for field, info := range map[string]keyprovider.Info{
			"ExpiresAt":    {Version: "1", ExpiresAt: at},
			"StatedExpiry": {Version: "1", StatedExpiry: at},
			"RefreshAfter": {Version: "1", RefreshAfter: at},
		} {
			t.Run(fmt.Sprint(field, " ", year), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					secret := keyprovidertest.NewSecret()
					fake := keyprovidertest.NewFake("")
					fake.SetKey(secret, info)
					source, err := rotation.NewSource(expiring(t, time.Second), fake, quiet(rotation.SourceOptions{PollInterval: -1}))
					if err != nil {
						t.Fatal(err)
					}
					defer source.Close()
					wait(time.Hour)
					holds(t, source, secret)
					if err := source.Health(); err != nil {
						t.Errorf("Health: %v, want nil", err)
					}
					status := source.Status()
					if in := time.Until(status.NextFetch); fake.Fetches() != 1 || in < 50*365*24*time.Hour {
						t.Errorf("%d fetches in an hour, the next in %v; want one, and the next in decades", fake.Fetches(), in)
					}
				})
			})
		}
	}
}

// The longest duration there is means "never" too.
func TestLongestDurations(t *testing.T) {
	const longest = time.Duration(math.MaxInt64)
	for name, opts := range map[string]rotation.SourceOptions{
		"PollInterval": {PollInterval: longest},
		"MinRefresh":   {MinRefresh: longest},
		"RefreshWait":  {RefreshWait: longest},
		"FetchTimeout": {FetchTimeout: longest},
		"Overlap":      {Overlap: longest},
		"MaxStale":     {MaxStale: longest},
		"DeniedGrace":  {DeniedGrace: longest},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				secret := keyprovidertest.NewSecret()
				fake := keyprovidertest.NewFake(secret)
				source := open(t, fake.FetchOnly(), opts)
				wait(2 * time.Minute)
				for _, class := range []error{keyprovider.ErrUnavailable, keyprovider.ErrDenied} {
					fake.Fail(class)
					wait(time.Minute)
					err := source.Refresh(expiring(t, time.Hour))
					want := class
					if name == "MinRefresh" {
						want = context.DeadlineExceeded // the floor holds off every fetch
					}
					if !errors.Is(err, want) {
						t.Errorf("Refresh: got %v, want %v", err, want)
					}
					holds(t, source, secret)
				}
				if n := fake.Fetches(); n > 180 {
					t.Errorf("%d fetches in two hours at most, want no storm", n)
				}
			})
		})
	}
}
