// Quickstart shows a go-openai client that survives rotations of its API key.
//
//	go run ./examples/quickstart
//
// With nothing set it needs no account: it starts a fake OpenAI server, calls it
// from several goroutines without pause, rotates the key in a file and revokes
// the old ones, and prints what happens (demo.go). It exits with status 1 if a
// single call failed or a key showed in its own output.
//
//	KEYBEARER_SOURCE=env://OPENAI_API_KEY go run ./examples/quickstart
//
// calls the real API instead, with the key that the URI names (live.go).
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"slices"
)

const usage = `quickstart shows a go-openai client that survives rotations of its API key.

  quickstart                                        a demonstration that needs no account
  KEYBEARER_SOURCE=env://OPENAI_API_KEY quickstart  calls the real API with the key that the URI names;
                                                    KEYBEARER_MODEL names another model than gpt-4o-mini
`

func main() {
	if args := os.Args[1:]; len(args) > 0 {
		os.Exit(help(args))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "quickstart:", err)
		os.Exit(1)
	}
}

// help answers arguments, of which there are none. It repeats nothing, as a key
// could have been pasted.
func help(args []string) (code int) {
	if len(args) == 1 && slices.Contains([]string{"-h", "-help", "--help", "help"}, args[0]) {
		fmt.Print(usage)
		return 0
	}
	fmt.Fprint(os.Stderr, "quickstart: it takes no arguments\n\n", usage)
	return 2
}

func run(ctx context.Context) error {
	if uri := os.Getenv("KEYBEARER_SOURCE"); uri != "" {
		return live(ctx, os.Stdout, uri, liveOptions{Model: os.Getenv("KEYBEARER_MODEL")})
	}
	return demo(ctx, os.Stdout, isTerminal(os.Stdout), story)
}

// isTerminal reports whether a person is looking, who may like colours.
func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0 && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}
