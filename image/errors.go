package image

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"time"
	"unicode"
)

// An AuthError is a registry's refusal of who we are (401) or of what we may
// see (403).
type AuthError struct {
	Repository  string
	Status      int
	Credentials string // which were used, never the secret
	Reason      string // the registry's words
}

func (e *AuthError) Error() string {
	return fmt.Sprintf("%s refused access (%d%s) with credentials: %s; check the image's name, or put an entry for the registry into a credential file and name it as credentials_file",
		e.Repository, e.Status, withColon(e.Reason), e.Credentials)
}

// A NotFoundError says that a source does not have something.
type NotFoundError struct {
	Repository string
	What       string // "tag stable", "manifest sha256:…", "blob sha256:…"
}

func (e *NotFoundError) Error() string {
	return fmt.Sprintf("%s has no %s; check the image's name and tag, or push it", e.Repository, e.What)
}

// An UnknownHostError says that a source's name has no address.
type UnknownHostError struct{ Host string }

func (e *UnknownHostError) Error() string {
	return fmt.Sprintf("there is no host %s: its name does not resolve; check the image's name, and this machine's name servers", e.Host)
}

// An InsecureError says that a source can only be used without protection.
type InsecureError struct {
	Registry string
	Reason   string
}

func (e *InsecureError) Error() string {
	return fmt.Sprintf("%s: %s; set insecure = true for this image if that is meant", e.Registry, e.Reason)
}

// A DigestError says that content is not what its digest or size promised.
type DigestError struct {
	What      string // "blob sha256:…"
	From      string // where it was read
	Want, Got string // digests, or sizes
}

func (e *DigestError) Error() string {
	return fmt.Sprintf("%s from %s is not what was promised: want %s, got %s; nothing of it may be used, mend or change the source",
		e.What, e.From, e.Want, e.Got)
}

// A PlatformError says that an image exists, but not for this platform.
type PlatformError struct {
	Image     string
	Want      string
	Available []string
}

func (e *PlatformError) Error() string {
	return fmt.Sprintf("%s is not made for %s, only for: %s; set platform to one of them, or build it for %s",
		e.Image, e.Want, few(e.Available), e.Want)
}

// An UnsupportedError names something that gitboot does not read.
type UnsupportedError struct {
	What   string
	Reason string
	Remedy string
}

func (e *UnsupportedError) Error() string {
	return fmt.Sprintf("%s: %s; %s", e.What, e.Reason, e.Remedy)
}

// A StatusError is any other answer of a server that is not the one wanted.
type StatusError struct {
	Status int
	Reason string
	// RetryAfter is how long the server asks to be left alone, 0 if it doesn't.
	RetryAfter time.Duration
}

func (e *StatusError) Error() string {
	s := fmt.Sprintf("the server answered %d%s", e.Status, withColon(e.Reason))
	if e.RetryAfter > 0 {
		s += fmt.Sprintf(" and asks to wait %s", e.RetryAfter)
	}
	return s
}

// ErrIdle is the cause when a server sent nothing for Timing.Idle.
var ErrIdle = errors.New("the server sent nothing for too long")

// ErrSlow is the cause when a server sent or took less than Timing.MinRate.
var ErrSlow = errors.New("the server is too slow")

// sourceErrors is what each source said, in their order.
type sourceErrors []error

func (e sourceErrors) Error() string {
	var parts []string
	for _, err := range e {
		parts = append(parts, err.Error())
	}
	return strings.Join(parts, "; ")
}

func (e sourceErrors) Unwrap() []error { return e }

// joinSources keeps a single error as it is.
func joinSources(errs []error) error {
	if len(errs) == 1 {
		return errs[0]
	}
	return sourceErrors(errs)
}

func withColon(s string) string {
	if s == "" {
		return ""
	}
	return ": " + s
}

// A cleanError shows a message without secrets in place of an error that may
// hold some, and stays recognisable by errors.Is and errors.As.
type cleanError struct {
	text string
	err  error
}

func (e *cleanError) Error() string { return e.text }
func (e *cleanError) Unwrap() error { return e.err }

var urlInText = regexp.MustCompile(`(https?://)(?:[^/\s"?#]*@)?([^\s"?#]*)(?:[?#][^\s"]*)?`)

// clean takes queries (signed URLs, token requests) and user names out of
// every URL in an error's text, and all but its first line.
func clean(err error) error {
	if err == nil {
		return nil
	}
	if u, ok := err.(*url.Error); ok {
		err = u.Err
		return &cleanError{u.Op + " " + cleanText(u.URL) + ": " + cleanText(err.Error()), err}
	}
	return &cleanError{cleanText(err.Error()), err}
}

func cleanText(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return printable(urlInText.ReplaceAllString(line, "$1$2"), 400)
}

// printable makes a stranger's words fit for a terminal and a log.
func printable(s string, limit int) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, strings.ToValidUTF8(s, " "))
	if len(s) > limit {
		s = strings.ToValidUTF8(s[:limit], "") + "…"
	}
	return strings.TrimSpace(s)
}
