package source

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/gitboot/gitboot/internal/durable"
	"github.com/gitboot/gitboot/reconciler/source/clone"
	"github.com/gitboot/gitboot/reconciler/source/ref"
	"github.com/gitboot/gitboot/reconciler/source/tagged"
)

// maxRemembered is how many tags are remembered.
const maxRemembered = 100

// A memory says by which tags commits were followed, a line for each: commit,
// tag object, ref. It lies in the clone, and is this machine's own: what a server
// says of older tags later does not count. Where keys are trusted, only tags are
// remembered that one has signed.
type memory struct{ path string }

func (o Options) memory() memory { return memory{filepath.Join(o.Dir, "tags")} }

func (m memory) lines() [][]string {
	data, err := os.ReadFile(m.path)
	if err != nil {
		return nil
	}
	var lines [][]string
	for line := range strings.Lines(string(data)) {
		if words := strings.Fields(line); len(words) == 3 {
			lines = append(lines, words)
		}
	}
	return lines
}

// of returns the last line of a commit, nil if there is none.
func (m memory) of(commit string) []string {
	lines := m.lines()
	for _, words := range slices.Backward(lines) {
		if words[0] == commit {
			return words
		}
	}
	return nil
}

// nameOf is the ref by which a commit was followed, "" if that is not known.
func (m memory) nameOf(commit string) string {
	if words := m.of(commit); words != nil {
		return words[2]
	}
	return ""
}

// root is a commit with the annotated tag by which it was followed, if it was by one.
func (m memory) root(commit plumbing.Hash) clone.Root {
	root := clone.Root{Commit: commit}
	if words := m.of(commit.String()); words != nil && words[1] != words[0] {
		root.Tag = plumbing.NewHash(words[1])
	}
	return root
}

// keep remembers a tag.
func (m memory) keep(c ref.Chosen) error {
	line := []string{c.Commit.String(), c.Object.String(), c.Name}
	if slices.Equal(m.of(line[0]), line) {
		return nil
	}
	lines := append(m.lines(), line)
	var b strings.Builder
	for _, words := range lines[max(0, len(lines)-maxRemembered):] {
		b.WriteString(strings.Join(words, " ") + "\n")
	}
	return durable.WriteFile(m.path, []byte(b.String()), 0o600)
}

// onward is the tag that is followed, whoever signed it, for who follows the clone.
func (c candidate) onward(from *clone.Clone) ([]tagged.Tag, error) {
	if tagName(c.Name) == "" {
		return nil, nil
	}
	tag := tagged.Tag{Name: c.Name}
	if c.Tag() {
		says, err := from.Tag(c.Object)
		if err != nil {
			return nil, err
		}
		tag.Content = slices.Concat(says.Signed, []byte(says.Signature))
	}
	return []tagged.Tag{tag}, nil
}

// tagName is a tag's short name, "" if the ref is none.
func tagName(name string) string {
	short, ok := strings.CutPrefix(name, "refs/tags/")
	if !ok {
		return ""
	}
	return short
}
