// Package env provides a key from the environment of the process.
//
//	provider, err := env.New("OPENAI_API_KEY", nil)
//
// The variable holds the bare key, or a JSON object with the key in a field;
// see keyprovider.ParseKey. Where the variable of that name with _FILE
// appended is set instead, it names a file that holds the key, as with the
// images of Docker, and package file takes over: the key can then rotate. As a
// URI: env://OPENAI_API_KEY, or env://OPENAI_API_KEY?field=token for another
// field than "api_key".
//
// # Rotation
//
// Nobody can change the environment of a process from outside, so that a key
// in a variable rotates with a restart only. The variable is read at each
// Fetch nevertheless: a program that sets it anew, when it reloads its
// configuration for example, calls Refresh on its rotation.Source.
//
// # Security
//
// Child processes inherit the environment, crash reports and "docker inspect"
// show it, and a Go program cannot erase it: /proc/self/environ keeps the key
// even after os.Unsetenv. Prefer OPENAI_API_KEY_FILE or a secret store where
// there is one.
package env
