package spec

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/gitboot/gitboot/hooks/kind"
	"github.com/gitboot/gitboot/internal/nearest"
	"github.com/gitboot/gitboot/secret"
	"github.com/gitboot/gitboot/spec/bounds"
	"github.com/gitboot/gitboot/spec/position"
	"github.com/gitboot/gitboot/spec/problem"
	"github.com/gitboot/gitboot/spec/render"
	"github.com/gitboot/gitboot/spec/table"
)

// secretFile checks a secret's file as far as that can be done without opening it.
// Who is about to encrypt it is told by Mismatch.
func (l *fileChecks) secretFile(name string, s *secretDecl) {
	if message, _ := table.Of("repo-path").Text(text(s.File)); message != "" || !l.spend(10) {
		return // the decoder has reported it
	}
	hint := fmt.Sprintf("`gitboot secret encrypt %s` writes it", name)
	data, err := bounds.ReadFile(l.fleet.fsys, path.Clean(*s.File), secret.MaxFile)
	switch {
	case !l.spend(len(data) / 16):
		return
	case errors.Is(err, fs.ErrNotExist):
		s.unread = "is not in the repo"
	case err != nil:
		s.unread = "cannot be read: " + bounds.Reason(err)
	default:
		if s.header, err = secret.ReadHeader(data); err != nil {
			s.unread = err.Error()
			hint += "; if it was committed in the clear, it stays in the repo's history: replace what it says"
		}
	}
	if s.unread != "" && !l.sealing {
		l.Add(s.where.At("file"), *s.File, s.unread, hint)
	}
}

// inserts are the secrets that a template, or the whole of a file, asks for.
func (r *onImage) inserts(p position.Place, secrets []render.Secret, whole bool) (out []kind.Insert) {
	for _, s := range secrets {
		if !r.spend(2) {
			return nil
		}
		if secret, ok := r.secret(p, s.Name); ok {
			out = append(out, kind.Insert{Secret: secret, At: s.At, Whole: whole})
		}
	}
	return out
}

// secret returns a secret that the machine uses at p, if it can read it.
func (r *onImage) secret(p position.Place, name string) (kind.Secret, bool) {
	decl := r.Fleet.secrets[name]
	switch {
	case decl == nil:
		r.Add(p, name, "is no secret of this repo"+nearest.Hint(name, sortedKeys(r.Fleet.secrets)), fmt.Sprintf("declare [secret.%s], or correct the name", name))
		return kind.Secret{}, false
	case !decl.readableBy(r.name):
		r.Add(p, name, "is used by machine "+r.name+", which is not among those that can read it", fmt.Sprintf("add %s to machines at %s, and run `gitboot secret rekey %s`", r.name, decl.where, name))
		return kind.Secret{}, false
	case r.decl.Key == nil:
		r.Add(p, name, "is used by machine "+r.name+", which has no key", fmt.Sprintf("give [machine.%s] the key that `gitboot secret key` prints there, and run `gitboot secret rekey %s`", r.name, name))
		return kind.Secret{}, false
	}
	return kind.Secret{Name: name, Sealed: r.read(decl.where.At("file"), text(decl.File)), Key: text(r.decl.Key)}, true
}

// SecretKeys are the places of the machine's key in what it wants: JSON, by which hooks
// are compared, leaves it out.
func SecretKeys(w *Wants) (keys []*string) {
	for _, img := range slices.Concat(w.Images, w.Builds) {
		for _, hook := range img.Hooks {
			for _, f := range hook.Files {
				for i := range f.Inserts {
					keys = append(keys, &f.Inserts[i].Key)
				}
			}
			for _, script := range slices.Concat(hook.Run, hook.AtBoot) {
				for i := range script.Secrets {
					keys = append(keys, &script.Secrets[i].Key)
				}
			}
		}
	}
	return keys
}

const modeHint = "leave it out, for 0600, or give the file to a group: mode 0640, with owner"

func worldReadable(mode fs.FileMode) bool { return mode&0o007 != 0 }

func (s *secretDecl) readableBy(machine string) bool {
	return slices.ContainsFunc(s.Machines, func(glob string) bool { return table.Match(glob, machine) })
}

// A Secret is who can read a file of the repo.
type Secret struct {
	Name string
	File string // in the repo
	// Machines are those that can read it, and Keyless those that could if they
	// had a key. Both are sorted.
	Machines, Keyless []string
	// Others is how many keys besides machines' can.
	Others int
	// Recipients are all keys that the file should be encrypted to, each once.
	Recipients []secret.Recipient

	decl *secretDecl
	// owners are the machines of keys.
	owners map[string]string
}

// Secrets returns the fleet's secrets, sorted by name. Its error is the
// context's, or says that there are too many.
func (f *Fleet) Secrets(ctx context.Context) ([]Secret, error) {
	m := &bounds.Meter{Ctx: ctx, Left: bounds.MaxWorkInAll}
	out, keys, owners := []Secret{}, map[string]secret.Recipient{}, map[string]string{}
	for _, machine := range f.Machines() {
		if r, err := secret.ParseRecipient(text(f.machines[machine].Key)); err == nil && m.Spend(30) {
			keys[machine], owners[r.String()] = r, machine
		}
	}
	for _, name := range sortedKeys(f.secrets) {
		if !m.Spend(10 + len(f.machines)*len(f.secrets[name].Machines)) {
			return nil, fmt.Errorf("looking at who can read secrets: %w", errors.Join(ctx.Err(), errors.New("there are too many for so many machines")))
		}
		s := Secret{Name: name, decl: f.secrets[name], owners: owners}
		s.fill(f, keys)
		out = append(out, s)
	}
	return out, nil
}

func (s *Secret) fill(f *Fleet, keys map[string]secret.Recipient) {
	s.File = path.Clean(text(s.decl.File))
	known := map[string]bool{}
	add := func(r secret.Recipient) bool {
		again := known[r.String()]
		if !again {
			s.Recipients = append(s.Recipients, r)
		}
		known[r.String()] = true
		return !again
	}
	for _, machine := range f.Machines() {
		key, ok := keys[machine]
		switch {
		case !s.decl.readableBy(machine):
		case !ok:
			s.Keyless = append(s.Keyless, machine)
		default:
			s.Machines = append(s.Machines, machine)
			add(key)
		}
	}
	others := s.decl.Recipients
	if d := f.defaults.Secret; others == nil && d != nil {
		others = d.Recipients
	}
	for _, key := range others {
		if r, err := secret.ParseRecipient(key); err == nil && add(r) {
			s.Others++
		}
	}
}

// checkSecrets compares what secrets are encrypted to with who should read them,
// for those that one of the machines should. A machine's run does without: what
// it cannot open fails the images that need it, and no others.
func (f *Fleet) checkSecrets(ctx context.Context, all *problem.List, machines []string) {
	secrets, err := f.Secrets(ctx)
	if err != nil && ctx.Err() == nil {
		all.Add(position.InFile(RootFile), "", err.Error(), "give machines what they share by fewer secrets")
	}
	for _, s := range secrets {
		if wrong := s.Mismatch(); wrong != "" && slices.ContainsFunc(s.Machines, func(m string) bool { return slices.Contains(machines, m) }) {
			all.Add(s.decl.where.At("file"), s.File, wrong, fmt.Sprintf("run `gitboot secret rekey %s`", s.Name))
		}
	}
}

// Mismatch says what is wrong with the file, or how it is encrypted to others than
// it should be, as far as its header tells; "" if nothing is.
func (s *Secret) Mismatch() string {
	switch m := s.decl.header.Compare(s.Recipients); {
	case s.decl.unread != "":
		return s.decl.unread
	case len(m.Missing) > 0:
		return "is not encrypted to " + s.names(m.Missing)
	case m.Lacking > 0:
		return fmt.Sprintf("is not encrypted to %d of these: %s", m.Lacking, s.names(m.Unsure))
	case m.Others == 1:
		return "can be read with a key more than it should"
	case m.Others > 0:
		return fmt.Sprintf("can be read with %d keys more than it should", m.Others)
	}
	return ""
}

// names says whose keys are.
func (s *Secret) names(keys []secret.Recipient) string {
	var names []string
	for _, key := range keys {
		name := position.Shorten(key.String(), 60)
		if machine, ok := s.owners[key.String()]; ok {
			name = "machine " + machine
		}
		names = append(names, name)
	}
	return position.Shorten(strings.Join(names, ", "), 300)
}
