package hooks

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/gitboot/gitboot/hooks/kind"
)

// A safe holds the secrets that hooks have asked for, in the clear, until they
// are rendered.
type safe struct {
	open   func(kind.Secret) ([]byte, error)
	opened map[string][]byte
	filled [][]byte // contents with secrets in them
}

// text opens a secret, once for all that want it.
func (s *safe) text(of kind.Secret) ([]byte, error) {
	if text, ok := s.opened[of.Name]; ok {
		return text, nil
	}
	if s.open == nil {
		return nil, fmt.Errorf("open secret %q: there is nothing to open it with", of.Name)
	}
	text, err := s.open(of)
	if err != nil {
		return nil, err
	}
	if s.opened == nil {
		s.opened = map[string][]byte{}
	}
	s.opened[of.Name] = text
	return text, nil
}

// fill returns files with their secrets in them.
func (s *safe) fill(files []kind.File) ([]kind.File, error) {
	out := slices.Clone(files)
	for i := range out {
		if len(out[i].Inserts) == 0 {
			continue
		}
		content, err := s.content(&out[i])
		if err != nil {
			return nil, fmt.Errorf("file %s: %w", out[i].Path, err)
		}
		out[i].Content, out[i].Inserts = content, nil
	}
	return out, nil
}

func (s *safe) content(f *kind.File) ([]byte, error) {
	texts, size := make([][]byte, len(f.Inserts)), len(f.Content)
	for i, in := range f.Inserts {
		text, err := s.text(in.Secret)
		if err != nil {
			return nil, err
		}
		if !in.Whole {
			text = bytes.TrimSuffix(bytes.TrimSuffix(text, []byte("\n")), []byte("\r"))
		}
		texts[i], size = text, size+len(text)
	}
	content, from := make([]byte, 0, size), 0 // it does not grow, and so leaves no copies
	s.filled = append(s.filled, content[:size])
	for i, in := range f.Inserts {
		if in.At < from || in.At > len(f.Content) {
			return nil, errors.New("its secrets are out of order")
		}
		content = append(append(content, f.Content[from:in.At]...), texts[i]...)
		from = in.At
	}
	return append(content, f.Content[from:]...), nil
}

// forget overwrites all that was opened, and says whether there was any.
func (s *safe) forget() bool {
	any := len(s.opened) > 0
	for _, text := range s.opened {
		clear(text)
	}
	for _, content := range s.filled {
		clear(content)
	}
	s.opened, s.filled = nil, nil
	return any
}

// minHidden is the least length of what is kept out of the log: less is in any
// text.
const minHidden = 4

// hidden are the texts that no line of a script's output may show: the lines of
// its secrets.
func (s *safe) hidden(of []kind.Secret) (texts [][]byte) {
	for _, secret := range of {
		for line := range bytes.Lines(s.opened[secret.Name]) {
			if line = bytes.TrimSpace(line); len(line) >= minHidden {
				texts = append(texts, line)
			}
		}
	}
	slices.SortFunc(texts, func(a, b []byte) int { return len(b) - len(a) }) // of two that overlap, the longer
	return texts
}

// handSecrets opens what a script asks for, and makes the folder that it finds
// them in.
func (r *renderer) handSecrets(x *run, work string) error {
	if len(x.script.Secrets) == 0 {
		return nil
	}
	x.secrets, x.secretsDir = map[string][]byte{}, filepath.Join(work, "secrets")
	for _, secret := range x.script.Secrets {
		text, err := r.safe.text(secret)
		if err != nil {
			return err
		}
		x.secrets[secret.Name] = text
	}
	x.lines.hide = r.safe.hidden(x.script.Secrets)
	return mkdirs(0o700, x.secretsDir)
}
