// Package command provides the key that a helper program prints: op, pass,
// gopass, security, a cloud's command line, or a script of your own.
//
//	provider, err := command.New([]string{"op", "read", "op://prod/openai/key"}, &command.Options{
//		Env: []string{"OP_SERVICE_ACCOUNT_TOKEN"},
//	})
//	keys, err := rotation.NewSource(ctx, provider, nil)
//
// # How the helper runs
//
// Without a shell, with an empty standard input, in a process group of its own,
// with the variables of the environment that are listed at [Options.Env] and no
// others. It has 30 seconds; then the whole group is killed. One runs at a time,
// and callers that wait for their turn share the next run. A helper must not
// ask questions at the terminal: it would be stopped there until its time is up.
//
// # What it prints
//
// On standard output, at most 64 KiB, one of
//
//   - the bare key, or a JSON object with the field "api_key" or the one that
//     [Options.Field] names, and perhaps the description that
//     keyprovider.ParseKey reads;
//   - what a credential_process prints:
//     {"Version": 1, "ApiKey": "...", "Expiration": "2026-11-23T08:00:00Z"};
//   - what a Kubernetes credential plugin prints: an ExecCredential with
//     status.token and perhaps status.expirationTimestamp.
//
// An Expiration or expirationTimestamp is the key's ExpiresAt: the helper is run
// again when two thirds of the time have passed, and before that only if the key
// is refused. Without one it is run every five minutes.
//
// # Errors
//
//   - keyprovider.ErrNotFound: there is no such program, or it exited with 66
//     (EX_NOINPUT of sysexits.h).
//   - keyprovider.ErrDenied: the program may not be run, or exited with 77
//     (EX_NOPERM).
//   - keyprovider.ErrInvalid: what it printed is no key, or it exited with 78
//     (EX_CONFIG).
//   - keyprovider.ErrUnavailable: any other exit status or signal, or no end in
//     time.
//
// A failure is remembered for ten seconds, in which the helper is not run again:
// some ask a person, some have a quota. An error holds nothing of the standard
// output. It holds the end of the standard error, for which a helper should not
// write secrets there; what looks like one is cut, and all of it is withheld if
// it repeats a part of the standard output or of a variable of Options.Env, save
// one that is the path of something that exists.
//
// # URIs
//
// A URI from configuration must not become a command line. keyprovider.Open
// therefore refuses command: URIs, except command:NAME where the program gave
// that name to a command itself, with [Allow].
package command
