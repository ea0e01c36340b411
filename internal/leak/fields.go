package leak

import (
	"net/http"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/env"
	"github.com/keybearer/keybearer/keyprovider/file"
	"github.com/keybearer/keybearer/rotation"
	"github.com/keybearer/keybearer/transport"
)

// A hider holds something in an unexported field, where fmt cannot call the
// methods of what it prints. It is why a redacting string type does not do.
type hider[T any] struct{ hidden T }

// unexported returns a pointer to a struct that hides v, or nil for a type that
// is not listed.
func unexported(v any) any {
	switch v := v.(type) {
	case *keyprovider.Key:
		return &hider[*keyprovider.Key]{v}
	case keyprovider.Key:
		return &hider[keyprovider.Key]{v}
	case *keyprovider.Error:
		return &hider[*keyprovider.Error]{v}
	case *env.Provider:
		return &hider[*env.Provider]{v}
	case *file.Provider:
		return &hider[*file.Provider]{v}
	case *rotation.Source:
		return &hider[*rotation.Source]{v}
	case rotation.SourceStatus:
		return &hider[rotation.SourceStatus]{v}
	case rotation.SourceEvent:
		return &hider[rotation.SourceEvent]{v}
	case []rotation.SourceEvent:
		return &hider[[]rotation.SourceEvent]{v}
	case *rotation.SourceOptions:
		return &hider[*rotation.SourceOptions]{v}
	case *transport.Transport:
		return &hider[*transport.Transport]{v}
	case transport.Transport:
		return &hider[transport.Transport]{v}
	case *http.Client:
		return &hider[*http.Client]{v}
	case http.Client:
		return &hider[http.Client]{v}
	case *http.Response:
		return &hider[*http.Response]{v}
	case *http.Request:
		return &hider[*http.Request]{v}
	}
	return nil
}
