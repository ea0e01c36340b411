//go:build unix

package command

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
)

// The helper prints what the file key holds. It fails as the file status says,
// and hangs while there is a file hang.
const helper = `
cd "$1"
while test -e hang; do sleep 0.01; done
test -e status && exit "$(cat status)"
test -e key || exit 66
exec cat key`

func TestConformance(t *testing.T) {
	keyprovidertest.Run(t, keyprovidertest.Harness{New: func(tb testing.TB) *keyprovidertest.Place {
		dir := tb.TempDir()
		key, status, hang := filepath.Join(dir, "key"), filepath.Join(dir, "status"), filepath.Join(dir, "hang")
		must := func(err error) {
			if err != nil && !errors.Is(err, os.ErrNotExist) {
				tb.Error(err)
			}
		}
		return &keyprovidertest.Place{
			// What a failure is remembered for has a test of its own.
			Provider: provide(tb, script(helper, dir), &Options{FailureTTL: -1}),
			Set:      func(value []byte) { write(tb, key, string(value)) },
			Delete:   func() { must(os.Remove(key)) },
			Fail: func(class error) (restore func()) {
				codes := map[error]int{keyprovider.ErrNotFound: 66, keyprovider.ErrDenied: 77, keyprovider.ErrInvalid: 78, keyprovider.ErrUnavailable: 1}
				write(tb, status, strconv.Itoa(codes[class]))
				return func() { must(os.Remove(status)) }
			},
			Hang: func() (release func()) {
				write(tb, hang, "")
				return func() { must(os.Remove(hang)) }
			},
		}
	}})
}
