// Package gcpclient is what every user of Google Secret Manager in this module
// shares: how a secret is named and which endpoint serves it, how a client is
// made and made again, what an error of the service means, and the checksum.
package gcpclient
