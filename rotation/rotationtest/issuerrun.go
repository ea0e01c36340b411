package rotationtest

import (
	"testing"
	"time"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/rotation"
)

// IssuerHarness says how to test a rotation.Issuer.
type IssuerHarness struct {
	// New makes an issuer at a service of its own for each subtest. tb.Cleanup
	// is where a fake server is stopped; the suite itself closes an issuer that
	// is an io.Closer, before that.
	New func(tb testing.TB) *IssuerPlace

	// Patience is how long the suite waits for what has to happen: for a call
	// to return, for a key to be known everywhere. [10s]
	Patience time.Duration
}

// IssuerPlace is an issuer and the means to act on its service. A nil function
// is something that the harness cannot do; what depends on it is skipped, by
// name. The functions report their own failures on the testing.TB that New was
// given.
type IssuerPlace struct {
	// Issuer is what is tested. Required. The suite prints it, as deep as fmt
	// goes: a fake server that it holds must not show there.
	Issuer rotation.Issuer

	// Foreign makes a live key that is not Owned, in the Issuer's reach, and
	// returns its id.
	Foreign func() (id string)

	// Disable makes a key that is Owned ineffective without ending it, as an
	// operator can.
	Disable func(id string)

	// Use makes a request with a key, and returns once the service tells that
	// the key was used.
	Use func(k *keyprovider.Key)

	// PageSize is how many keys the service lists in one answer; the suite
	// issues more. 0: it does not page.
	PageSize int

	// BreakList makes the service fail in the middle of a list, after its
	// first page, until restore is called. It needs PageSize.
	BreakList func() (restore func())

	// Scopes is a list to which a key can be narrowed, and ScopesOf tells what
	// a key has.
	Scopes   []string
	ScopesOf func(id string) []string

	// Fail makes the service fail until restore is called, in a way that the
	// issuer has to report as class. It returns nil if the service knows no
	// such failure. Probe is left out: what it says of a key is not what the
	// service says of the issuer.
	Fail func(class error) (restore func())

	// Doubt makes the service answer a Probe with neither yes nor no: a quota,
	// an outage.
	Doubt func() (restore func())

	// Hang makes the service take requests without answering them until
	// release is called.
	Hang func() (release func())

	// Lose makes requests that change something take effect while their
	// answers are lost, until restore is called. It may lose one answer or all.
	Lose func() (restore func())
}

// RunIssuer tests that an issuer keeps the contract of rotation.Issuer and,
// where it implements them, of rotation.UsageReader and
// rotation.CredentialExpirer. Each obligation is a subtest, named after its
// number. Run it with -race; what RunStore says of logs and goroutines holds
// here, too.
func RunIssuer(t *testing.T, h IssuerHarness) {
	t.Helper()
	if h.New == nil {
		t.Fatal("rotationtest: the harness has no New")
	}
	for _, c := range issuerChecks {
		t.Run(c.name, func(t *testing.T) { c.run(t, h) })
	}
}

// issuerCheck is one obligation. run opens a place and reports on tb.
type issuerCheck struct {
	name string
	run  func(tb testing.TB, h IssuerHarness)
}

var issuerChecks = []issuerCheck{
	{"Issuer1/context done before", checkIssuerDoneBefore},
	{"Issuer1/context done meanwhile", checkIssuerDoneMeanwhile},
	{"Issuer1/concurrent", checkIssuerConcurrent},
	{"Issuer1/denied", issuerClassCheck(keyprovider.ErrDenied)},
	{"Issuer1/unavailable", issuerClassCheck(keyprovider.ErrUnavailable)},
	{"Issuer2/lost answer of Issue", checkLostIssue},
	{"Issuer2/lost answer of Revoke", checkLostRevoke},
	{"Issuer2/lost answer of Restrict", checkLostRestrict},
	{"Issuer3/issues", checkIssue},
	{"Issuer3/one key a call", checkIssueEach},
	{"Issuer4/lists all", checkList},
	{"Issuer4/lists more than a page", checkListPages},
	{"Issuer4/all or an error", checkListBroken},
	{"Issuer5/inspects", checkInspect},
	{"Issuer5/none", checkInspectNone},
	{"Issuer6/lifetime", checkRestrictLifetime},
	{"Issuer6/scopes", checkRestrictScopes},
	{"Issuer6/what is empty stays", checkRestrictNothing},
	{"Issuer7/exactly this key", checkRevoke},
	{"Issuer7/not owned", checkRevokeForeign},
	{"Issuer7/gone", checkRevokeGone},
	{"Issuer8/alive", checkProbeAlive},
	{"Issuer8/dead", checkProbeDead},
	{"Issuer8/in doubt", checkProbeDoubt},
	{"Used/tells", checkUsed},
	{"UsageReader/counts", checkUsage},
	{"CredentialExpirer/steady", checkCredential},
	{"Secrecy/output", checkIssuerOutput},
	{"Secrecy/log", checkIssuerLog},
	{"Goroutines/none left", checkIssuerGoroutines},
}
