package workload

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/keybearer/keybearer/internal/oauthtest"
)

func TestLifetime(t *testing.T) {
	began := time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)
	const hour = time.Hour
	tests := map[string]struct {
		expiresIn, subject, date time.Duration // the last two from began; 0: not known
		want                     time.Duration
		known                    bool
	}{
		"as told":                              {expiresIn: hour, want: hour, known: true},
		"short":                                {expiresIn: 5 * time.Second, want: 5 * time.Second, known: true},
		"capped by the subject":                {expiresIn: hour, subject: 10 * time.Minute, want: 10 * time.Minute, known: true},
		"capped by the endpoint's clock":       {expiresIn: hour, subject: 10 * time.Minute, date: 4 * time.Minute, want: 6 * time.Minute, known: true},
		"not capped, a longer subject":         {expiresIn: hour, subject: 24 * hour, want: hour, known: true},
		"our clock is an hour ahead":           {expiresIn: 10 * time.Minute, subject: -50 * time.Minute, date: -hour, want: 10 * time.Minute, known: true},
		"our clock is ahead, no date":          {expiresIn: 10 * time.Minute, subject: -50 * time.Minute, want: 10 * time.Minute, known: true},
		"our clock is a day behind":            {expiresIn: hour, subject: 25 * hour, date: 24*hour + time.Minute, want: 59 * time.Minute, known: true},
		"not told":                             {want: hour},
		"not told, capped":                     {subject: 10 * time.Minute, want: 10 * time.Minute, known: true},
		"not told, a subject that lives a day": {subject: 24 * hour, want: hour, known: true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			r := &response{expiresIn: test.expiresIn}
			var subject token
			if test.subject != 0 {
				subject.expires = began.Add(test.subject)
			}
			if test.date != 0 {
				r.date = began.Add(test.date)
			}
			if got, known := r.lifetime(began, subject); got != test.want || known != test.known {
				t.Errorf("lifetime = %v, %t; want %v, %t", got, known, test.want, test.known)
			}
		})
	}
}

func TestRefreshIn(t *testing.T) {
	for _, life := range []time.Duration{time.Second, time.Minute, time.Hour} {
		low, high := life*6/10, life*74/100
		seen := map[time.Duration]bool{}
		for range 100 {
			got := refreshIn(life)
			if got < low || got > high {
				t.Errorf("refreshIn(%v) = %v, want two thirds, a tenth more or less", life, got)
			}
			seen[got] = true
		}
		if len(seen) < 50 {
			t.Errorf("refreshIn(%v) has %d values in 100: replicas would ask together", life, len(seen))
		}
	}
}

func TestSeconds(t *testing.T) {
	tests := map[string]struct {
		want time.Duration
		ok   bool
	}{
		"":       {0, true},
		"null":   {0, true},
		"3600":   {time.Hour, true},
		`"3600"`: {time.Hour, true},
		"59.5":   {59500 * time.Millisecond, true},
		"1e-12":  {1, true},
		"1e400":  {maxLifetime, true},
		"1e18":   {maxLifetime, true},
		"0":      {0, false},
		"-1":     {0, false},
		`"x"`:    {0, false},
		"[]":     {0, false},
		"true":   {0, false},
	}
	for raw, test := range tests {
		var message json.RawMessage
		if raw != "" {
			message = json.RawMessage(raw)
		}
		if got, ok := seconds(message); got != test.want || ok != test.ok {
			t.Errorf("seconds(%s) = %v, %t; want %v, %t", raw, got, ok, test.want, test.ok)
		}
	}
}

func FuzzParseResponse(f *testing.F) {
	f.Add([]byte(`{"access_token":"a","token_type":"Bearer","expires_in":3600}`), "Mon, 23 Nov 2026 08:00:00 GMT")
	f.Add([]byte(`{"access_token":"a","expires_in":"59.5","issued_token_type":"urn:ietf:params:oauth:token-type:access_token"}`), "")
	f.Fuzz(func(t *testing.T, text []byte, date string) {
		r, err := parseResponse(text, date)
		if (r == nil) == (err == nil) {
			t.Fatalf("parseResponse = %v, %v", r, err)
		}
		if r != nil && (r.secret() == "" || r.expiresIn < 0 || r.expiresIn > maxLifetime) {
			t.Errorf("parseResponse accepts no token, or one that lives for %v", r.expiresIn)
		}
	})
}

func FuzzJWT(f *testing.F) {
	idp := oauthtest.NewIssuer("https://idp.example")
	f.Add(idp.Token("a", "b", time.Hour))
	f.Add(idp.Sign(map[string]any{"exp": 1e300}, nil))
	f.Add("e30.e30.e30")
	f.Add("..")
	f.Fuzz(func(t *testing.T, s string) {
		at := expiry(s)
		if !at.IsZero() && (at.Year() < 1970 || at.Year() > 9999) {
			t.Errorf("expiry = %v", at)
		}
		if isJWT(s) && len(s) > maxToken {
			t.Error("isJWT takes a token that is too long")
		}
	})
}
