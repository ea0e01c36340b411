// Package awsclient is what the code for AWS shares: it loads the SDK's
// configuration with the SDK's own logging switched off, reads a secret's name
// or ARN, runs one operation under a deadline, and turns the SDK's errors into
// the classes of keyprovider without their text.
package awsclient
