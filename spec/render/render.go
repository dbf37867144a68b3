// Package render executes text/template over plain values (maps, slices,
// strings, numbers, booleans) from a source that is not trusted. What comes
// out depends on text and values alone; what it costs is bounded and counted;
// it ends when it is told to.
//
// text/template has no bounds of its own, and cannot be interrupted. So each
// template is rewritten once it is parsed: loops, calls of templates and
// whatever takes time in proportion to its arguments ask a counter, whose
// error ends the execution.
//
//	{{ range .Vars.list }}x{{ end }}    becomes    {{ range .Vars.list | looked }}{{ looped }}x{{ end }}
//	{{ index .Vars "x" }}               becomes    {{ index .Vars (sized "x") | printed }}
//	{{ define "t" }}x{{ end }}          becomes    {{ define "t" }}{{ entered }}x{{ left }}{{ end }}
//
// What makes text (print, printf, html, …) is replaced by functions that know
// beforehand how much it will be.
package render

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"text/template"
	"unicode/utf8"
)

// Bounds of one template. Cost is counted in units of about a microsecond.
const (
	maxSource  = 1 << 20
	maxActions = 20_000 // the parser recurses for each that is open
	maxNesting = 200
	maxCalls   = 50       // of templates by templates
	maxText    = 16 << 20 // of one value, and of what is printed in all
	perUnit    = 32       // bytes
)

// An Error says where in a template something is wrong.
type Error struct {
	Line int // from 1
	What string
	// Missing is set where a variable is asked for that is not there: its
	// name, or "?".
	Missing string
}

func (e *Error) Error() string { return "line " + strconv.Itoa(e.Line) + ": " + e.What }

// Check parses a template.
func Check(text string) error {
	_, err := parsed(text, (&counter{}).functions())
	return err
}

func parsed(text string, functions template.FuncMap) (*template.Template, error) {
	switch {
	case len(text) > maxSource && strings.Contains(text, "{{"):
		return nil, &Error{1, fmt.Sprintf("it is larger than %d MiB; give as content or source what is no template", maxSource>>20), ""}
	case strings.Count(text, "{{") > maxActions:
		return nil, &Error{1, fmt.Sprintf("it has more than %d actions", maxActions), ""}
	}
	t, err := template.New(root).Option("missingkey=error").Funcs(functions).Parse(text)
	if err != nil {
		return nil, place(err)
	}
	for _, t := range t.Templates() {
		if t.Tree == nil {
			continue
		}
		if rewrite(t.Root); tooDeep(t.Root) {
			return nil, &Error{1, fmt.Sprintf("it nests more than %d deep", maxNesting), ""}
		}
	}
	return t, nil
}

// root is the name of the template itself.
const root = "gitboot"

var (
	located = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`^template: ` + root + `:(\d+)(?::\d+)?: ?(?:executing "(?:[^"\\]|\\.)*" at )?(?s:(.*))$`)
	})
	noKey = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`map has no entry for key "([^"]*)"`) })
	ours  = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(` \| (?:` + looked + `|` + printed + `)|` + sized + ` `)
	})
)

// place finds out where an error of text/template is.
func place(err error) error {
	if err == nil {
		return nil
	}
	e := &Error{Line: 1, What: err.Error()}
	if m := located().FindStringSubmatch(e.What); m != nil {
		e.Line, _ = strconv.Atoi(m[1])
		e.What = ours().ReplaceAllString(m[2], "")
	}
	if own := (*Error)(nil); errors.As(err, &own) {
		e.What, e.Missing = own.What, own.Missing
	} else if m := noKey().FindStringSubmatch(e.What); m != nil {
		e.Missing = m[1]
	}
	e.What = shorten(e.What)
	return e
}

func shorten(s string) string {
	const most = 400
	if len(s) <= most {
		return s
	}
	end := most
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + "…"
}
