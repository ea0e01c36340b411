package faulttable

import (
	"errors"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestWrite(t *testing.T) {
	var b strings.Builder
	err := Write(&b, "Faults of a store:", []Row{
		{Fault: "none", Calls: 1200, KeyAge: 1234567 * time.Nanosecond, Recover: time.Second, StoreCalls: 3},
		{Fault: "é", Calls: 7, Failed: 1, KeyAge: 90 * time.Second, Reported: "a|b\nc"},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := `
Faults of a store:

| fault | calls made | failed | longest key age | time to recover | store calls | reported as |
| ----- | ---------- | ------ | --------------- | --------------- | ----------- | ----------- |
| none  | 1200       | 0      | 1ms             | 1s              | 3           | -           |
| é     | 7          | 1      | 1m30s           | 0s              | 0           | a/b c       |

`
	if got := b.String(); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func TestWriteFails(t *testing.T) {
	want := errors.New("full")
	if err := Write(broken{want}, "", nil); !errors.Is(err, want) {
		t.Errorf("got %v, want %v", err, want)
	}
}

type broken struct{ err error }

func (b broken) Write([]byte) (int, error) { return 0, b.err }
