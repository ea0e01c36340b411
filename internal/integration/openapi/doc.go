// Package openapi holds what package openaiadmin sends, and what the fake of
// OpenAI's Admin API answers, to OpenAI's own description of its API
// (github.com/openai/openai-openapi, MIT): each request's route, query and body,
// and each answer, errors too. Fields and routes that the description does not
// have are findings, but for the few of newer_test.go.
//
// It is a module of its own, and only tests. The description has megabytes and
// stays outside: KEYBEARER_OPENAPI is the path of the description, as JSON.
// Without it the tests are skipped.
package openapi
