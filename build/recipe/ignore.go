package recipe

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"path"
	"strings"

	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"
)

// ignoreFiles are those that keep files of the context from the engine. The
// first that is there counts.
func ignoreFiles() []string { return []string{".containerignore", ".dockerignore"} }

// ignored refuses a source of a COPY that the context's ignore file keeps from
// the engine. Of a folder of which something may be left, and of a pattern, the
// engine sees what is left.
func (c *collector) ignored(r *Recipe, source string) error {
	clean := strings.TrimPrefix(path.Clean("/"+source), "/")
	if clean == "" || strings.ContainsAny(clean, "*?[") {
		return nil
	}
	for _, name := range ignoreFiles() {
		patterns, err := c.patterns(r.contextPath(name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return refuse("correct the pattern", "%s: %v", r.contextPath(name), err)
		}
		info, err := fs.Stat(c.fsys, r.contextPath(clean))
		if err != nil || info.IsDir() && patterns.Exclusions() {
			return nil // what is not there was said
		}
		if out, err := patterns.MatchesOrParentMatches(clean); err != nil || !out {
			return err
		}
		return refuse("take it out of there, or add a line !"+clean, "%q is ignored by %s", clean, r.contextPath(name))
	}
	return nil
}

func (c *collector) patterns(name string) (*patternmatcher.PatternMatcher, error) {
	f, err := c.fsys.Open(name)
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(f, maxFragment))
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	lines, err := ignorefile.ReadAll(bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	return patternmatcher.New(lines)
}
