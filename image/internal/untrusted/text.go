package untrusted

import (
	"net/url"
	"regexp"
	"strings"
	"sync"
	"unicode"
)

// A cleanError shows a message without secrets in place of an error that may
// hold some, and stays recognisable by errors.Is and errors.As.
type cleanError struct {
	text string
	err  error
}

func (e *cleanError) Error() string { return e.text }
func (e *cleanError) Unwrap() error { return e.err }

var urlInText = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(https?://)(?:[^/\s"?#]*@)?([^\s"?#]*)(?:[?#][^\s"]*)?`)
})

// Clean takes queries (signed URLs, token requests) and user names out of
// every URL in an error's text, and all but its first line.
func Clean(err error) error {
	if err == nil {
		return nil
	}
	if u, ok := err.(*url.Error); ok {
		err = u.Err
		return &cleanError{u.Op + " " + CleanText(u.URL) + ": " + CleanText(err.Error()), err}
	}
	return &cleanError{CleanText(err.Error()), err}
}

// CleanText is the first line of a text, without what URLs may hide.
func CleanText(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return Printable(urlInText().ReplaceAllString(line, "$1$2"), 400)
}

// Printable makes a stranger's words fit for a terminal and a log.
func Printable(s string, limit int) string {
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
