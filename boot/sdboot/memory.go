package sdboot

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gitboot/gitboot/boot"
	"github.com/gitboot/gitboot/boot/loader"
	"github.com/gitboot/gitboot/boot/sdboot/counter"
	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/internal/durable"
	"github.com/gitboot/gitboot/internal/fault"
)

// A names is what systemd-boot remembers: the count in the name of what is on trial,
// and what the firmware is asked for.
type names struct {
	*Loader
	folder boot.Filesystem
}

// Memory finds the entries, in whose names boots are counted. The firmware, which does
// not know of arrays, would count on one half of a mirror alone.
func (l *Loader) Memory(ctx context.Context, _ boot.Filesystem) (loader.Memory, error) {
	at, err := l.where(ctx)
	if err != nil {
		return nil, err
	}
	if at.Assembly != "" {
		return nil, fmt.Errorf("%s is on an array or a volume (%s), and systemd-boot would count on one of the disks of that alone; have it on a plain partition", l.boot, at.Assembly)
	}
	switch always, err := l.vars.get(defaultVar); {
	case err != nil:
		return nil, err
	case always != "":
		return nil, fmt.Errorf("systemd-boot was told to boot %.80q always (LoaderEntryDefault), though it is used up; take that back with `bootctl set-default ''`", always)
	}
	return &names{l, at}, nil
}

// asked returns the entry that the firmware is asked for once by somebody else, "" if
// none is.
func asked(vars firmware) string {
	once, err := vars.get(oneShotVar)
	if err != nil || own().MatchString(strings.TrimSuffix(once, counter.Entry)) {
		return ""
	}
	return once
}

// Location is the folder with the entries.
func (n *names) Location() deployment.Location {
	return deployment.Location{Device: "UUID=" + n.folder.UUID, Path: "/" + entriesDir}
}

// Read reads the names.
func (n *names) Read() (m boot.Memory, err error) {
	files, err := n.files()
	if err != nil {
		return m, err
	}
	once, err := n.vars.get(oneShotVar)
	if err != nil {
		return m, err
	}
	if id := strings.TrimSuffix(once, counter.Entry); own().MatchString(id) {
		m.Once = id
	}
	if f, ok := onTrial(files); ok {
		m.Trying, m.Left = f.ID, min(f.Left, boot.MaxTries)
		if !f.Counted {
			m.Good = f.ID
		}
	}
	return m, nil
}

// onTrial is the file of what is on trial. Where a cut has left more than one, it is
// what is not shown yet, as the newest, else what boots by itself.
func onTrial(files []file) (f file, ok bool) {
	files = slices.DeleteFunc(slices.Clone(files), func(f file) bool { return !f.onTrial() })
	slices.SortFunc(files, func(a, b file) int {
		return cmp.Or(rank(a.shown())-rank(b.shown()), rank(a.Left == 0)-rank(b.Left == 0), strings.Compare(a.ID, b.ID), strings.Compare(a.String(), b.String()))
	})
	if len(files) == 0 {
		return f, false
	}
	return files[0], true
}

func rank(later bool) int {
	if later {
		return 1
	}
	return 0
}

// Change changes the names, and what the firmware is asked for.
func (n *names) Change(do func(*boot.Memory)) error {
	is, err := n.Read()
	if err != nil {
		is = boot.Memory{}
	}
	was := is
	if do(&is); err == nil && is == was {
		return nil
	}
	if is.Once != was.Once || err != nil {
		text := ""
		if is.Once != "" {
			text = is.Once + counter.Entry
		}
		if err := n.vars.set(oneShotVar, text); err != nil {
			return fmt.Errorf("have an entry booted once: %w", err)
		}
	}
	is.Once, was.Once = "", ""
	if is == was {
		return nil
	}
	return n.count(is)
}

// count has the name of what is on trial say what is remembered. What was on trial
// before stays as it is for as long as the menu has it.
func (n *names) count(m boot.Memory) error {
	if m.Trying == "" {
		return n.end()
	}
	if !own().MatchString(m.Trying) || m.Left < 0 || m.Left > boot.MaxTries {
		return fmt.Errorf("count boots of %.80q, %d of them: that is none of gitboot's entries, or more than %d", m.Trying, m.Left, boot.MaxTries)
	}
	if err := durable.MkdirAll(n.entries(), 0o700); err != nil {
		return err
	}
	files, err := n.files()
	if err != nil {
		return err
	}
	name := counter.Name{ID: m.Trying, Ext: counter.Entry, Counted: m.Good != m.Trying}
	if name.Counted {
		name.Left = m.Left
	}
	var have *file
	for _, f := range files {
		switch {
		case f.ID == m.Trying && (have == nil || f.shown()):
			have = &f
		case f.ID != m.Trying && !f.shown():
			err = errors.Join(err, os.Remove(filepath.Join(n.entries(), f.String())))
		}
	}
	switch {
	case err != nil:
		return err
	case have == nil || !have.onTrial():
		err = n.foresee(name, have)
	case have.Name != name:
		err = os.Rename(filepath.Join(n.entries(), have.String()), filepath.Join(n.entries(), name.String()))
	}
	if err != nil {
		return err
	}
	if err := fault.Point("boot.entry.counted"); err != nil {
		return err
	}
	_, err = durable.Settle(n.entries())
	return err
}

// foresee counts what is in the menu not yet, or otherwise: in the name of a file that
// the boot loader does not show.
func (n *names) foresee(name counter.Name, have *file) error {
	if have != nil && have.Name == name {
		name.Done = have.Done + 1 // or it would be replaced
	}
	return durable.WriteSettled(filepath.Join(n.entries(), name.String()), []byte(written+"\n"+trialMark+"\n"), 0o600)
}

// end has nothing on trial.
func (n *names) end() error {
	files, err := n.files()
	if err != nil {
		return err
	}
	for _, f := range files {
		if !f.onTrial() {
			continue
		}
		path := filepath.Join(n.entries(), f.String())
		if !f.shown() {
			err = errors.Join(err, os.Remove(path))
			continue
		}
		plain := []byte(strings.Replace(string(f.text), trialMark+"\n", "", 1))
		err = errors.Join(err, durable.WriteSettled(filepath.Join(n.entries(), f.ID+counter.Entry), plain, 0o600))
		if f.Counted {
			err = errors.Join(err, os.Remove(path))
		}
	}
	return errors.Join(err, durable.SyncDir(n.entries()))
}
