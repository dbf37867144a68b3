// Package submodule reads what a repo says of its submodules: where they lie in
// it, and where they come from.
package submodule

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	gitconfig "github.com/go-git/go-git/v5/plumbing/format/config"

	"github.com/gitboot/gitboot/internal/plain"
)

const (
	// File is where a repo says it.
	File = ".gitmodules"
	// maxFile bounds that file, and Max how many it may name.
	maxFile = 256 << 10
	Max     = 64
)

// A Module is one submodule.
type Module struct {
	Path string // in the repo
	URL  string // as it is written
}

// Read returns the submodules of a repo, by their paths.
func Read(files fs.FS) ([]Module, error) {
	info, err := fs.Stat(files, File)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err == nil && info.Size() > maxFile {
		err = fmt.Errorf("it is larger than %d KiB", maxFile>>10)
	}
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", File, err)
	}
	data, err := fs.ReadFile(files, File)
	if err != nil {
		return nil, err
	}
	cfg := gitconfig.New()
	if err := gitconfig.NewDecoder(bytes.NewReader(data)).Decode(cfg); err != nil {
		return nil, fmt.Errorf("reading %s: %s; write it with git submodule add", File, plain.Line(err.Error()))
	}
	var all []Module
	for _, s := range cfg.Section("submodule").Subsections {
		m := Module{Path: path.Clean(s.Option("path")), URL: s.Option("url")}
		if !fs.ValidPath(m.Path) || m.Path == "." || m.URL == "" {
			return nil, fmt.Errorf("reading %s: submodule %q has no url, or a path that leads nowhere in the repo; write it with git submodule add", File, plain.Line(s.Name))
		}
		all = append(all, m)
	}
	if len(all) > Max {
		return nil, fmt.Errorf("reading %s: it names %d submodules, more than %d", File, len(all), Max)
	}
	slices.SortFunc(all, func(a, b Module) int { return strings.Compare(a.Path, b.Path) })
	return all, nil
}

// Resolve is a submodule's address: one that begins with ./ or ../ is relative to
// its repo's, as git has it (relative_url in its submodule.c).
func Resolve(repo, url string) (string, error) {
	if !strings.HasPrefix(url, "./") && !strings.HasPrefix(url, "../") {
		return url, nil
	}
	base, sep := strings.TrimRight(repo, "/"), "/"
	for {
		if rest, ok := strings.CutPrefix(url, "./"); ok {
			url = rest
			continue
		}
		rest, ok := strings.CutPrefix(url, "../")
		if !ok {
			break
		}
		url = rest
		slash, colon := strings.LastIndexByte(base, '/'), strings.LastIndexByte(base, ':')
		switch {
		case slash > 0 && base[slash-1] != '/':
			base = base[:slash]
		case slash < 0 && colon > 0:
			base, sep = base[:colon], ":"
		default:
			return "", fmt.Errorf("the submodule's url %q leads out of %s", plain.Line("../"+url), repo)
		}
	}
	return base + sep + strings.TrimRight(url, "/"), nil
}
