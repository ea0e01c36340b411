package openaitest

import (
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
)

// Scopes that a key may be limited to (see [MintOptions.Scopes]).
const (
	ScopeAllRead        = "api.all.read"        // every GET
	ScopeModelRead      = "api.model.read"      // the models
	ScopeModelRequest   = "api.model.request"   // chat completions and embeddings
	ScopeResponsesWrite = "api.responses.write" // responses
)

// A route is one method of one path pattern.
type route struct {
	method, pattern string // pattern has {name} for one segment
	segments        []string
	scope           string // a key without it is refused; "" asks for none
	usage           string // the kind of usage that a call is counted as; "" is none
	admin           string // "": for the keys of a project; else the wider scope that admin keys may have instead
	serve           func(*call)
	hits            atomic.Int64
}

func (rt *route) name() string { return rt.method + " " + rt.pattern }

type routeTable struct {
	routes  []*route
	unknown atomic.Int64 // hits of no route
}

func (s *Server) newRoutes() routeTable {
	table := []*route{
		{method: "GET", pattern: "/v1/models", scope: ScopeModelRead, serve: (*call).listModels},
		{method: "GET", pattern: "/v1/models/{model}", scope: ScopeModelRead, serve: (*call).getModel},
		{method: "POST", pattern: "/v1/chat/completions", scope: ScopeModelRequest, usage: usageCompletions, serve: (*call).chat},
		{method: "POST", pattern: "/v1/responses", scope: ScopeResponsesWrite, usage: usageCompletions, serve: (*call).responses},
		{method: "POST", pattern: "/v1/embeddings", scope: ScopeModelRequest, usage: usageEmbeddings, serve: (*call).embeddings},
		// Azure's spelling of two of them.
		{method: "POST", pattern: "/openai/deployments/{deployment}/chat/completions", scope: ScopeModelRequest, usage: usageCompletions, serve: (*call).chat},
		{method: "POST", pattern: "/openai/deployments/{deployment}/embeddings", scope: ScopeModelRequest, usage: usageEmbeddings, serve: (*call).embeddings},
	}
	table = append(table, s.adminRoutes()...)
	for _, rt := range table {
		rt.segments = strings.Split(rt.pattern, "/")
	}
	return routeTable{routes: table}
}

// find returns the route of a request and sets its path values. Without one,
// allow lists the methods that the path does have.
//
// An [http.ServeMux] would redirect an unclean path before a fault or the
// recorder saw it, and answer 404 and 405 in its own words.
func (t *routeTable) find(r *http.Request) (found *route, allow []string) {
	segments := strings.Split(r.URL.Path, "/")
	for _, rt := range t.routes {
		if !rt.matches(segments) {
			continue
		}
		if rt.method != r.Method {
			allow = append(allow, rt.method)
			continue
		}
		for i, seg := range rt.segments {
			if strings.HasPrefix(seg, "{") {
				r.SetPathValue(strings.Trim(seg, "{}"), segments[i])
			}
		}
		rt.hits.Add(1)
		return rt, nil
	}
	t.unknown.Add(1)
	return nil, allow
}

func (rt *route) matches(segments []string) bool {
	if len(segments) != len(rt.segments) {
		return false
	}
	for i, seg := range rt.segments {
		if strings.HasPrefix(seg, "{") && segments[i] != "" {
			continue
		}
		if seg != segments[i] {
			return false
		}
	}
	return true
}

// allows says whether a key of these scopes may take the route.
func (rt *route) allows(scopes []string) bool {
	return rt.scope == "" || len(scopes) == 0 || slices.Contains(scopes, rt.scope) ||
		rt.admin == "" && rt.method == http.MethodGet && slices.Contains(scopes, ScopeAllRead) ||
		rt.admin != "" && slices.Contains(scopes, rt.admin)
}
