package transport

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// ErrRouteNotAllowed is wrapped by the error of a request that matches no entry
// of Options.Routes. Nothing was sent.
var ErrRouteNotAllowed = errors.New("route not allowed")

// routes are the patterns that a request must match, one of them; none allows
// all. Patterns that an http.ServeMux would call ambiguous beside each other are
// no contradiction here, where all mean the same: each such gets its own mux.
type routes []*http.ServeMux

// allowed marks a match of a pattern. A ServeMux answers with handlers of its
// own where a path is not clean, or lacks a slash.
type allowed struct{ http.Handler }

func parseRoutes(patterns []string, list origins) (routes, error) {
	var rs routes
	for i, p := range patterns {
		entry, alone := "Options.Routes["+strconv.Itoa(i)+"]", http.NewServeMux()
		if !register(alone, p) {
			return nil, invalid(entry + " is not a pattern of http.ServeMux such as \"POST /v1/chat/completions\"")
		}
		if !hostAmong(p, list) {
			return nil, invalid(entry + " begins with a host that Options.Origins does not have: begin the path with a slash")
		}
		if len(rs) == 0 || !register(rs[len(rs)-1], p) {
			rs = append(rs, alone)
		}
	}
	return rs, nil
}

// register adds a pattern to a mux, and reports false where the mux panics: on a
// malformed pattern and on one that conflicts with another.
func register(mux *http.ServeMux, pattern string) (ok bool) {
	defer func() { ok = recover() == nil }()
	mux.Handle(pattern, allowed{})
	return
}

// hostAmong reports whether the host of a pattern, if it has one, is that of an
// allowed origin. "v1/models" is a valid pattern, of a host "v1", that would
// silently match nothing.
func hostAmong(pattern string, list origins) bool {
	if i := strings.IndexAny(pattern, " \t"); i >= 0 { // the method comes first
		pattern = strings.TrimLeft(pattern[i:], " \t")
	}
	host, _, _ := strings.Cut(pattern, "/")
	return host == "" || slices.ContainsFunc(list, func(o *origin) bool { return host == o.hostname() })
}

// allow reports whether a request to an allowed origin matches.
func (rs routes) allow(req *http.Request, o *origin) bool {
	if len(rs) == 0 {
		return true
	}
	if hasDotSegment(req.URL.Path) {
		// Encoded dots pass the mux, and may be decoded by the service.
		return false
	}
	method := req.Method
	if method == "" {
		method = http.MethodGet
	}
	probe := &http.Request{
		Method: method,
		Host:   o.host,
		URL:    &url.URL{Host: o.host, Path: req.URL.Path, RawPath: req.URL.RawPath},
	}
	if probe.URL.Path == "" {
		probe.URL.Path = "/" // as it is sent
	}
	for _, mux := range rs {
		if h, _ := mux.Handler(probe); h == (allowed{}) {
			return true
		}
	}
	return false
}

func hasDotSegment(path string) bool {
	if !strings.Contains(path, ".") {
		return false
	}
	for segment := range strings.SplitSeq(path, "/") {
		if segment == "." || segment == ".." {
			return true
		}
	}
	return false
}
