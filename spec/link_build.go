package spec

import (
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/gitboot/gitboot/build/recipe"
	"github.com/gitboot/gitboot/spec/position"
	"github.com/gitboot/gitboot/spec/table"
)

// recipe checks all that a build is rendered from, by rendering it. Paths that
// are none were reported before.
func (l *fileChecks) recipe(b *buildDecl) {
	r := recipe.Recipe{
		Scratch: text(b.From) == "scratch" && len(b.Bootstrap) == 0,
		Context: cleanPath(b.Context),
		Run:     b.Run, Args: b.Args, Labels: b.Labels, Secrets: b.Secrets, Platform: text(b.Platform),
		RootfsFixes: b.RootfsFixes == nil || *b.RootfsFixes,
	}
	if len(b.Bootstrap) > 0 && isRepoPath(strings.TrimPrefix(b.Bootstrap[0], "./")) {
		r.Bootstrap = b.Bootstrap
	}
	for n, name := range b.Containerfiles {
		if l.file(b.where.At("containerfiles").Item(n), name, false) {
			r.Containerfiles = append(r.Containerfiles, path.Clean(name))
		}
	}
	if b.Recipe != nil && l.file(b.where.At("recipe"), *b.Recipe, true) {
		r.Recipe = cleanPath(b.Recipe)
	}
	var copied []int // where what is checked is in the declaration
	for n, c := range b.Copy {
		if l.there(b.where.At("copy").Item(n).At("from"), text(c.From)) {
			r.Copy = append(r.Copy, recipe.Copy{From: cleanPath(c.From), To: text(c.To)})
			copied = append(copied, n)
		}
	}
	for _, p := range l.recipes.Check(r) {
		if len(p.At) > 1 && p.At[0] == "copy" {
			n, _ := strconv.Atoi(p.At[1])
			p.At = slices.Concat([]string{"copy", strconv.Itoa(copied[n])}, p.At[2:])
		}
		l.recipeProblem(b, p)
	}
}

func isRepoPath(name string) bool {
	message, _ := table.Of("repo-path").Text(name)
	return message == ""
}

// recipeProblem reports a problem of a fragment by its line, and one of the
// declaration by its key.
func (l *fileChecks) recipeProblem(b *buildDecl, p recipe.Problem) {
	if p.File != "" {
		l.Add(position.Place{File: p.File, Node: &position.Node{Line: p.Line}}, p.Value, p.Message, p.Hint)
		return
	}
	at := b.where
	for _, key := range p.At {
		if n, err := strconv.Atoi(key); err == nil && at.Node != nil && len(at.Node.Items) > n {
			at = at.Item(n)
		} else {
			at = at.At(key)
		}
	}
	l.Add(at, p.Value, p.Message, p.Hint)
}
