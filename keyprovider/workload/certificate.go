package workload

import (
	"crypto/tls"
	"errors"
	"io/fs"
	"strings"

	"github.com/keybearer/keybearer/internal/keyshape"
	"github.com/keybearer/keybearer/keyprovider"
)

// CertificateFiles returns a function for Options.Certificate that reads a chain
// and its private key, in PEM, at each exchange: files that are replaced before
// the certificate expires need no restart.
func CertificateFiles(chain, privateKey string) func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
	return func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		// A key pasted as the path stays out of the text that os would make.
		if keyshape.Prefixed(chain) || keyshape.Prefixed(privateKey) || strings.Contains(privateKey, "PRIVATE KEY") {
			return nil, fail(keyprovider.ErrInvalid, reason("what is given as the path of the certificate or its key is no path"))
		}
		cert, err := tls.LoadX509KeyPair(chain, privateKey)
		if err != nil {
			class := keyprovider.ErrInvalid
			switch {
			case errors.Is(err, fs.ErrNotExist):
				class = keyprovider.ErrNotFound
			case errors.Is(err, fs.ErrPermission):
				class = keyprovider.ErrDenied
			}
			return nil, fail(class, keyprovider.Reason("the files of the workload's certificate and its private key cannot be read, are malformed, or do not belong together", err))
		}
		return &cert, nil
	}
}

// clientCertificate is Options.Certificate with its failures marked, so that
// they can be told from those of the connection.
// It is called on a goroutine of net/http, where nobody keeps a panic from ending
// the program.
func (o *Options) clientCertificate(info *tls.CertificateRequestInfo) (cert *tls.Certificate, err error) {
	defer func() {
		if v := recover(); v != nil {
			cert, err = nil, &certificateError{panicked("Certificate", v)}
		}
	}()
	cert, err = o.Certificate(info)
	switch {
	case err != nil:
		return nil, &certificateError{err}
	case cert == nil || len(cert.Certificate) == 0:
		return nil, &certificateError{fail(keyprovider.ErrInvalid, reason("Options.Certificate returned no certificate"))}
	}
	return cert, nil
}

// certificateError is a failure to get the workload's certificate.
type certificateError struct{ err error }

func (e *certificateError) Error() string { return "no client certificate" }
func (e *certificateError) Unwrap() error { return e.err }

func (e *certificateError) failure() error {
	if ours, ok := errors.AsType[*keyprovider.Error](e.err); ok {
		return fail(ours.Class, ours.Err)
	}
	return fail(keyprovider.Class(e.err), keyprovider.Reason("the workload's certificate cannot be had", e.err))
}
