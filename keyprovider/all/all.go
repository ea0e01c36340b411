// Package all imports every backend of keyprovider, so that keyprovider.Open
// knows all of their schemes:
//
//	import _ "github.com/keybearer/keybearer/keyprovider/all"
//
// A program that knows where its key is imports that backend alone: this
// package brings in the SDK of every store.
package all

import (
	_ "github.com/keybearer/keybearer/keyprovider/awssm"    // awssm://name, awssm:arn:...
	_ "github.com/keybearer/keybearer/keyprovider/command"  // command:name, where code allows it
	_ "github.com/keybearer/keybearer/keyprovider/env"      // env://NAME
	_ "github.com/keybearer/keybearer/keyprovider/file"     // file:///path
	_ "github.com/keybearer/keybearer/keyprovider/gcpsm"    // gcpsm://projects/...
	_ "github.com/keybearer/keybearer/keyprovider/vault"    // vault://mount/path
	_ "github.com/keybearer/keybearer/keyprovider/workload" // workload:?identity_provider_id=...
)
