package kind

import (
	"cmp"
	"fmt"
	"iter"
	"reflect"
	"slices"

	"github.com/gitboot/gitboot/hooks/check"
)

// A Builtin is a hook that gitboot brings along. Its fields are all there are.
type Builtin struct {
	Fstab          *Fstab          `key:"fstab" doc:"Built in: /etc/fstab."`
	Hostname       *Hostname       `key:"hostname" doc:"Built in: /etc/hostname and /etc/hosts."`
	MachineID      *MachineID      `key:"machine-id" doc:"Built in: /etc/machine-id, the same at every boot."`
	SSHHostKeys    *SSHHostKeys    `key:"ssh-host-keys" doc:"Built in: the SSH server's keys, generated once and kept on the stage."`
	AuthorizedKeys *AuthorizedKeys `key:"authorized-keys" doc:"Built in: users' ~/.ssh/authorized_keys."`
	ResolvConf     *ResolvConf     `key:"resolv-conf" doc:"Built in: /etc/resolv.conf."`
	Network        *Network        `json:",omitempty" key:"network" doc:"Built in: wired network interfaces, for what the image has to configure them."`
	Users          *Users          `json:",omitempty" key:"users" doc:"Built in: users and groups beside those of the image."`
	Units          *Units          `json:",omitempty" key:"units" doc:"Built in: units of systemd that start or do not."`
	Sysctl         *Sysctl         `json:",omitempty" key:"sysctl" doc:"Built in: kernel parameters, set at every boot."`
	Modules        *Modules        `json:",omitempty" key:"modules" doc:"Built in: kernel modules to load, to keep out, and their options."`
	Timezone       *Timezone       `json:",omitempty" key:"timezone" doc:"Built in: /etc/localtime."`
	Locale         *Locale         `json:",omitempty" key:"locale" doc:"Built in: the system's language."`
}

// Settings are what is declared of one built-in.
type Settings interface {
	// Complete fills in what was left out.
	Complete(m Machine)
	// Check returns what is wrong with settings, complete or not.
	Check() check.Problems
	// Paths are the files that a hook of this name makes whatever the image has.
	Paths(hook string) []string
	Help() Help
}

// A Help describes a built-in hook to a user.
type Help struct {
	// Name is the word in the config.
	Name string
	// Summary is one line.
	Summary string
	// Text is everything else.
	Text string
}

// Set yields the name and settings of every built-in that is declared.
func (b *Builtin) Set() iter.Seq2[string, Settings] {
	return func(yield func(string, Settings) bool) {
		v := reflect.ValueOf(b).Elem()
		for i := range v.NumField() {
			if f := v.Field(i); !f.IsNil() && !yield(v.Type().Field(i).Tag.Get("key"), f.Interface().(Settings)) {
				return
			}
		}
	}
}

// One returns the name and settings of the one built-in that is declared.
func (b *Builtin) One() (name string, settings Settings, err error) {
	n := 0
	for name, settings = range b.Set() {
		n++
	}
	if n != 1 {
		return "", nil, fmt.Errorf("it has %d built-ins; a hook has one", n)
	}
	return name, settings, nil
}

// New returns a built-in with nothing said about it; ok is false if there is
// none of that name.
func New(name string) (b Builtin, ok bool) {
	v := reflect.ValueOf(&b).Elem()
	for i := range v.NumField() {
		if v.Type().Field(i).Tag.Get("key") == name {
			v.Field(i).Set(reflect.New(v.Field(i).Type().Elem()))
			return b, true
		}
	}
	return b, false
}

// Names returns the names of all built-ins, sorted.
func Names() []string {
	var names []string
	t := reflect.TypeFor[Builtin]()
	for i := range t.NumField() {
		names = append(names, t.Field(i).Tag.Get("key"))
	}
	slices.Sort(names)
	return names
}

// Helps returns the help of all built-ins, sorted by name.
func Helps() []Help {
	var all []Help
	for _, name := range Names() {
		b, _ := New(name)
		for _, settings := range b.Set() {
			help := settings.Help()
			help.Name = name
			all = append(all, help)
		}
	}
	slices.SortFunc(all, func(a, b Help) int { return cmp.Compare(a.Name, b.Name) })
	return all
}
