package rotation_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
	"github.com/keybearer/keybearer/rotation"
)

// TestRollbackAndALateAnswer: the store went back to an older key and the
// service revoked the newer one. While a refused call waits for the fetch, the
// answer to a call that was let in before the revocation comes: the older key
// is what the store names all the same.
func TestRollbackAndALateAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		keys := secrets(2)
		now := time.Now()
		fake := keyprovidertest.NewFake("")
		fake.SetKey(keys[0], keyprovider.Info{Version: "1", CreatedAt: now.Add(-time.Hour)})
		openai := newService(keys...)
		source := open(t, fake.FetchOnly(), rotation.SourceOptions{PollInterval: 10 * time.Second})
		if err := openai.call(t.Context(), source); err != nil {
			t.Fatal(err)
		}
		fake.SetKey(keys[1], keyprovider.Info{Version: "2", CreatedAt: now})
		wait(15 * time.Second)
		holds(t, source, keys[1])
		if err := openai.call(t.Context(), source); err != nil {
			t.Fatal(err)
		}
		bad, _ := source.Key(t.Context()) // of a call whose answer is late
		fake.SetKey(keys[0], keyprovider.Info{Version: "3", CreatedAt: now.Add(-time.Hour)})
		openai.revoke(keys[1])
		fake.Delay(200 * time.Millisecond)

		failed := make(chan error, 1)
		go func() { failed <- openai.call(t.Context(), source) }()
		wait(100 * time.Millisecond)
		source.Accept(bad) // let in before it was revoked
		if err := <-failed; err != nil {
			t.Fatalf("the refused call: %v", err)
		}
		holds(t, source, keys[0])
	})
}
