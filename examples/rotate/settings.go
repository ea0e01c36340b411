package main

import (
	"errors"
	"flag"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/keybearer/keybearer/rotation"
	"github.com/keybearer/keybearer/rotation/cronschedule"
)

const usage = `rotate drives the rotation of an OpenAI API key. Without arguments: a demonstration that needs no account.

  rotate run              rotate by the schedule until interrupted; any number may run
  rotate run -once        take the steps that can be taken now, and exit: for a CronJob every few minutes
  rotate now              rotate now, and wait until the old key is revoked; interrupted, any run goes on with it
  rotate now -detach      ask for it, and leave it to a run elsewhere (also for rollback and emergency)
  rotate status           what the state document says; exits with 1 if somebody should look
  rotate plan             what the next steps would be; changes nothing
  rotate rollback         back to the former key, until its revocation has begun
  rotate emergency replace       the key may have leaked: rotate, and revoke the old one minutes later, used or not
  rotate emergency revoke-now    the key is being abused: revoke first. EVERY CALL FAILS until the new one arrives
  rotate adopt            after a stop: take the store's present value for the current key; deletes nothing

`

// settings are what the command line says.
type settings struct {
	command string
	mode    string // of an emergency

	store, admin     string // URIs
	project, account string
	scopes           string
	allPermissions   bool
	origin           string

	domain, host, listen string
	cron, zone           string

	every, lifetime, overlap, quiet, maxDrain, testFor, emergencyOverlap, lease, poll time.Duration

	once, detach, yes, help bool

	flags *flag.FlagSet
}

var commands = []string{"run", "now", "status", "plan", "rollback", "emergency", "adopt"}

// pasted is what an OpenAI key looks like.
var pasted = regexp.MustCompile(`sk-[A-Za-z0-9_-]{16,}`)

// parse reads the command line. Its errors repeat nothing in which a key could
// have been pasted.
func parse(args []string) (*settings, error) {
	if slices.ContainsFunc(args, pasted.MatchString) {
		return nil, wrongUsage("an argument holds an API key, which is in your shell's history now: revoke it. No flag takes a key: -store and -admin take the place of one")
	}
	s := &settings{}
	s.define()
	if slices.Contains([]string{"-h", "-help", "--help", "help"}, args[0]) {
		s.help = true
		return s, nil
	}
	if !slices.Contains(commands, args[0]) {
		return nil, wrongUsage("the first argument is none of the commands %s", strings.Join(commands, ", "))
	}
	s.command, args = args[0], args[1:]
	if s.command == "emergency" && len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		s.mode, args = args[0], args[1:]
	}
	switch err := s.flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		s.help = true
		return s, nil
	case err != nil:
		return nil, wrongUsage("%s", flagError(err, s.flags))
	case s.flags.NArg() > 0:
		return nil, wrongUsage("there is something after the flags that belongs to none")
	}
	return s, s.check()
}

func (s *settings) define() {
	f := flag.NewFlagSet("rotate", flag.ContinueOnError)
	f.SetOutput(io.Discard) // its messages quote what was written
	f.StringVar(&s.store, "store", "", "where the key is: `URI` file:///path, vault://mount/path, awssm://name, gcpsm://projects/P/secrets/S")
	f.StringVar(&s.admin, "admin", "", "where the admin key is: any `URI` that keyprovider.Open knows")
	f.StringVar(&s.project, "project", "", "the project's `id`, proj_...")
	f.StringVar(&s.account, "account", "", "the `id` of the service account that owns the keys")
	f.StringVar(&s.scopes, "scopes", "", "what a key may do, a `list` by commas, such as api.model.request")
	f.BoolVar(&s.allPermissions, "all-permissions", false, "keys that may do all that the account may, instead of -scopes")
	f.StringVar(&s.origin, "origin", "", "where the Admin API is, scheme and host [https://api.openai.com]")
	f.StringVar(&s.domain, "domain", "", "tells rotations of the same store apart; never change it")
	f.StringVar(&s.host, "host", "", "a `name` of this host that stays, for a file store in a container [the system's]")
	f.StringVar(&s.cron, "cron", "", "rotate by a cron `expression`, such as '0 3 * * 1'")
	f.StringVar(&s.zone, "zone", "UTC", "the time zone of -cron, such as Europe/Berlin")
	f.DurationVar(&s.every, "every", 0, "rotate a key of this age [720h]")
	f.DurationVar(&s.lifetime, "lifetime", 0, "a key ends by itself after this [three intervals]")
	f.DurationVar(&s.overlap, "overlap", 0, "the old key lives on for this long at least [24h]")
	f.DurationVar(&s.quiet, "quiet", 0, "and is not revoked before it was unused for this long [1h]")
	f.DurationVar(&s.maxDrain, "max-drain", 0, "health fails if it is in use for longer than this [168h]")
	f.DurationVar(&s.testFor, "test-for", 0, "a new key may be refused for this long [15m]")
	f.DurationVar(&s.emergencyOverlap, "emergency-overlap", 0, "the overlap of an emergency [5m]")
	f.DurationVar(&s.lease, "lease", 0, "other replicas stay away for this long [2m]")
	f.DurationVar(&s.poll, "poll", 5*time.Second, "how often the state is read for the display")
	f.StringVar(&s.listen, "listen", "", "run: serve GET /healthz on this `address`, such as :8080")
	f.BoolVar(&s.once, "once", false, "run: take the steps that can be taken now, and exit")
	f.BoolVar(&s.detach, "detach", false, "now, rollback, emergency: ask for it and exit")
	f.BoolVar(&s.yes, "yes", false, "emergency revoke-now: the outage is meant")
	s.flags = f
}

func (s *settings) check() error {
	switch {
	case s.command == "emergency" && s.mode != modeReplace && s.mode != modeRevokeNow:
		return wrongUsage("emergency takes a mode: %s (no outage) or %s (an outage until the new key arrives)", modeReplace, modeRevokeNow)
	case s.mode == modeRevokeNow && !s.yes:
		return wrongUsage("emergency revoke-now revokes the key that your services use: every call fails until the new key arrives. Add -yes if that is meant; emergency replace does it without an outage")
	case s.store == "":
		return wrongUsage("-store is missing: where is the key?")
	case s.needsIssuer() && len(s.missing()) > 0:
		return wrongUsage("%s talks to OpenAI: it needs -admin, -project, -account and -scopes (or -all-permissions); missing: %s",
			s.command, strings.Join(s.missing(), ", "))
	case s.allPermissions && len(s.scopeList()) > 0:
		return wrongUsage("-scopes and -all-permissions exclude each other")
	case s.cron != "" && s.every != 0:
		return wrongUsage("-cron and -every exclude each other")
	case s.every < 0:
		return wrongUsage("-every is not more than zero")
	case s.lease < 0 || s.testFor < 0:
		return wrongUsage("-lease and -test-for cannot be negative")
	case s.poll <= 0:
		return wrongUsage("-poll is not more than zero")
	}
	return nil
}

// missing are the flags without which there is no Issuer.
func (s *settings) missing() (flags []string) {
	for _, f := range []struct {
		name  string
		given bool
	}{{"-admin", s.admin != ""}, {"-project", s.project != ""}, {"-account", s.account != ""}, {"-scopes", s.allPermissions || len(s.scopeList()) > 0}} {
		if !f.given {
			flags = append(flags, f.name)
		}
	}
	return flags
}

// scopeList are the scopes, which may be written with spaces between them.
func (s *settings) scopeList() (list []string) {
	for scope := range strings.SplitSeq(s.scopes, ",") {
		if scope = strings.TrimSpace(scope); scope != "" {
			list = append(list, scope)
		}
	}
	return list
}

// needsIssuer reports whether the command does more than read and write the
// store.
func (s *settings) needsIssuer() bool {
	switch s.command {
	case "status":
		return false
	case "now", "rollback":
		return !s.detach
	case "emergency":
		return !s.detach || s.mode == modeRevokeNow
	}
	return true
}

// rotator returns the options of the Rotator.
func (s *settings) rotator() (*rotation.RotatorOptions, error) {
	opts := &rotation.RotatorOptions{
		Domain: s.domain, Lifetime: s.lifetime, Overlap: s.overlap, Quiet: s.quiet, MaxDrain: s.maxDrain,
		TestFor: s.testFor, EmergencyOverlap: s.emergencyOverlap, Lease: s.lease,
	}
	switch {
	case s.every != 0:
		opts.Schedule = rotation.Every(s.every)
	case s.cron != "":
		zone, err := time.LoadLocation(s.zone)
		if err != nil {
			return nil, wrongUsage("-zone is no time zone that this system knows")
		}
		schedule, err := cronschedule.New(s.cron, &cronschedule.Options{Location: zone})
		if err != nil {
			return nil, &usageError{err.Error()}
		}
		opts.Schedule = schedule
		if opts.Lifetime == 0 {
			opts.Lifetime = 3 * schedule.Interval()
		}
	}
	return opts, nil
}

// flagHelp lists the flags.
func (s *settings) flagHelp() string {
	var b strings.Builder
	s.flags.SetOutput(&b)
	s.flags.PrintDefaults()
	s.flags.SetOutput(io.Discard)
	return b.String()
}
