package wanted

import (
	"debug/elf"
	"encoding/json"
	"fmt"
	"reflect"
	"sync"

	"github.com/gitboot/gitboot/internal/durable"
	"github.com/gitboot/gitboot/spec"
)

// A memory is what the revision that was applied last wants, for the next process: it
// need not read a whole fleet to find the same.
type memory struct {
	basis
	Wants *spec.Wants `json:"wants"`
	// Key is the machine's public key, which no wants of JSON have.
	Key string `json:"key,omitempty"`
}

// A basis is all that decides what is wanted.
type basis struct {
	Revision  string `json:"revision"`
	Subdir    string `json:"subdir,omitempty"`
	Modules   bool   `json:"submodules,omitempty"`
	Hosts     string `json:"submoduleHosts,omitempty"`
	Repo      string `json:"repo,omitempty"`
	Machine   string `json:"machine"`
	MachineID string `json:"machineID,omitempty"`
	OrImage   bool   `json:"orImage,omitempty"`
	// Program is the build id of the gitboot that has found it.
	Program string `json:"program"`
}

func (r *Repo) basis(revision string) basis {
	return basis{
		Revision: revision, Subdir: r.Subdir, Modules: r.Source.Submodules, Hosts: fmt.Sprintf("%q", r.Source.SubmoduleHosts),
		Repo: r.Name, Machine: r.Machine, MachineID: r.MachineID, OrImage: r.OrImage, Program: buildID(),
	}
}

// recall returns what is remembered of a revision, nil if that is nothing.
func (r *Repo) recall(revision string) *spec.Wants {
	text, err := durable.ReadSummed(r.Memory)
	if err != nil {
		return nil
	}
	var known memory
	if err := json.Unmarshal(text, &known); err != nil || known.basis != r.basis(revision) || known.Program == "" {
		return nil
	}
	return known.restored()
}

// restored are the wants with the machine's key.
func (m memory) restored() *spec.Wants {
	for _, key := range spec.SecretKeys(m.Wants) {
		*key = m.Key
	}
	return m.Wants
}

// Lacking reports whether what is wanted had to be found out, and can be remembered.
func (w *Wanted) Lacking() bool { return w.memory != "" && w.known.Program != "" }

// Remember writes what is wanted into the file for it, for the next process. That it
// cannot costs time, and no more.
func (w *Wanted) Remember() error {
	if !w.Lacking() {
		return nil
	}
	kept := memory{basis: w.known, Wants: w.Wants}
	if keys := spec.SecretKeys(w.Wants); len(keys) > 0 {
		kept.Key = *keys[0]
	}
	text, err := json.Marshal(kept)
	if err != nil {
		return fmt.Errorf("remember what the config repo wants: %w", err)
	}
	var again memory
	if err := json.Unmarshal(text, &again); err != nil || !reflect.DeepEqual(again.restored(), w.Wants) {
		return fmt.Errorf("what the config repo wants is not remembered: it would be another thing (%v)", err)
	}
	return durable.WriteSummed(w.memory, append(text, '\n'), 0o600)
}

// buildID tells this program from all that were built of something else, "" if its
// builder has left that out.
var buildID = sync.OnceValue(func() string {
	f, err := elf.Open("/proc/self/exe")
	if err != nil {
		return ""
	}
	defer f.Close()
	note := f.Section(".note.go.buildid")
	if note == nil {
		return ""
	}
	data, err := note.Data()
	if err != nil {
		return ""
	}
	return string(data)
})
