package keyprovidertest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"

	"github.com/keybearer/keybearer/keyprovider"
)

// valueDefects break classes, values and versions.
var valueDefects = []defect{
	{"calls a missing secret denied", "Class/not found", reclass(keyprovider.ErrNotFound, keyprovider.ErrDenied)},
	{"calls a refusal an outage", "Class/denied", reclass(keyprovider.ErrDenied, keyprovider.ErrUnavailable)},
	{"calls an outage missing", "Class/unavailable", reclass(keyprovider.ErrUnavailable, keyprovider.ErrNotFound)},
	{"calls nonsense an outage", "Class/invalid", reclass(keyprovider.ErrInvalid, keyprovider.ErrUnavailable)},
	{"calls a deleted secret invalid", "Class/deleted", reclass(keyprovider.ErrNotFound, keyprovider.ErrInvalid)},
	{"has no class", "Class/denied", func(b *broken, m *memory, _ <-chan struct{}) {
		b.fetch = func(ctx context.Context, last version) (*key, error) {
			k, err := m.Fetch(ctx, last)
			if err != nil && err != keyprovider.ErrNotModified {
				err = errors.New("something went wrong")
			}
			return k, err
		}
	}},
	{"has two classes", "Class/denied", func(b *broken, m *memory, _ <-chan struct{}) {
		b.fetch = func(ctx context.Context, last version) (*key, error) {
			k, err := m.Fetch(ctx, last)
			if errors.Is(err, keyprovider.ErrDenied) {
				err = errors.Join(err, keyprovider.ErrNotFound)
			}
			return k, err
		}
	}},
	{"keeps the line break", "Value/accepted", convert(func(v string) string { return strings.ReplaceAll(v, "\n", "_") })},
	{"does not parse", "Value/accepted", convert(func(v string) string { return strings.NewReplacer("{", "_", "\n", "_").Replace(v) })},
	{"trims", "Value/refused", convert(strings.TrimSpace)},
	{"takes the first word", "Value/refused", convert(func(v string) string { return strings.Join(strings.Fields(v)[:min(1, len(strings.Fields(v)))], "") })},
	{"one version for all", "Version/changes with the secret", versions(func(string) version { return "latest" })},
	{"a part of the key as version", "Version/changes with the secret", versions(func(s string) version { return version(s[:15]) })},
	{"a version for each read", "Version/stays with the secret", versions(func(string) version { return version(strconv.Itoa(rand.Int())) })},
	{"quotes the value", "Value/refused", func(b *broken, m *memory, _ <-chan struct{}) {
		b.fetch = func(ctx context.Context, last version) (*key, error) {
			k, err := m.Fetch(ctx, last)
			if errors.Is(err, keyprovider.ErrInvalid) {
				value, _, _ := m.read(ctx)
				err = &keyprovider.Error{Class: keyprovider.ErrInvalid, Err: keyprovider.Reason(fmt.Sprintf("cannot read %q", value), nil)}
			}
			return k, err
		}
	}},
}

// reclass reports one class as another.
func reclass(from, to error) func(*broken, *memory, <-chan struct{}) {
	return func(b *broken, m *memory, _ <-chan struct{}) {
		b.fetch = func(ctx context.Context, last version) (*key, error) {
			k, err := m.Fetch(ctx, last)
			if errors.Is(err, from) {
				err = memoryError(to)
			}
			return k, err
		}
	}
}

// convert changes the value before it is parsed.
func convert(f func(string) string) func(*broken, *memory, <-chan struct{}) {
	return func(b *broken, m *memory, _ <-chan struct{}) {
		b.fetch = func(ctx context.Context, last version) (*key, error) {
			value, v, err := m.read(ctx)
			if err != nil {
				return nil, memoryError(err)
			}
			return keyprovider.ParseKey([]byte(f(string(value))), "", keyprovider.Info{Version: v})
		}
	}
}

// versions makes the version of the secret.
func versions(f func(secret string) version) func(*broken, *memory, <-chan struct{}) {
	return func(b *broken, m *memory, _ <-chan struct{}) {
		b.fetch = func(ctx context.Context, last version) (*key, error) {
			k, err := m.Fetch(ctx, "")
			if err != nil {
				return nil, err
			}
			return keyprovider.NewKey(k.Reveal(), keyprovider.Info{Version: f(k.Reveal())})
		}
	}
}
