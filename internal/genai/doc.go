// Package genai reads what telemetry says of a call to OpenAI's API, or to one
// that speaks it, from the bytes of the request and of the answer as they pass.
//
// Nothing is buffered. A scanner walks each JSON text in whatever pieces it comes
// and picks out single values: a model's name, a limit, a count of tokens. It
// holds at most one value of [MaxValue] bytes, so that a request and an answer
// cost under 2 KiB each, however long the prompt or the answer is; a compressed
// answer costs gzip's window besides, about 45 KiB. Of a prompt or a completion
// nothing is ever taken over; the head of a stream's last event, 320 bytes at
// most, is kept until the next has been compared with it.
package genai
