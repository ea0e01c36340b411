package fakesm_test

import (
	"strings"
	"testing"

	sm "cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
)

func TestLag(t *testing.T) {
	w := newWorld(t, "")
	w.create(&sm.Secret{})
	w.add("one")
	if err := w.server.Lag(name); err != nil {
		t.Fatal(err)
	}
	w.add("two")
	w.want("latest lags", w.read("latest"), "one")
	w.want("a number does not", w.read("2"), "two")
	if err := w.server.CatchUp(name); err != nil {
		t.Fatal(err)
	}
	w.want("latest has caught up", w.read("latest"), "two")
	w.server.Deny("AccessSecretVersion", "secretmanager.versions.access")
	w.want("denied", strings.Fields(w.read("1"))[0], "PermissionDenied")
	w.server.Allow("AccessSecretVersion")
	w.want("allowed", w.read("1"), "one")
	if calls := w.server.Calls(); calls["AccessSecretVersion"] != 5 || calls["AddSecretVersion"] != 2 {
		t.Errorf("calls %v", calls)
	}
}
