// Package manifests reads the manifests of a stage's deployments. What was read once,
// and was what its name says, is remembered for as long as the file is the same by its
// inode, length and times: in memory, and in a document beside the manifests for the
// next process. That document is much smaller than the manifests, because what they have
// in common is in it once. One that is lost, damaged or of another version is as good as
// none: all it tells can be read again.
package manifests

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
	"syscall"

	"github.com/gitboot/gitboot/deployment"
)

// ErrNone is returned for an id of which there is no manifest.
var ErrNone = errors.New("no such deployment")

// Manifests are those in a folder. Its methods may be called from several goroutines at
// once. Layers, trees and what else a manifest points to, nobody may change.
type Manifests struct {
	dir, memory string

	mu    sync.Mutex
	known map[string]*known // nil until the document was read
	// objects and trees are those of all that is known, equal ones once.
	objects pool[deployment.Object]
	trees   pool[deployment.Tree]
	// changed: there is more, or less, to be remembered than the document says.
	changed bool
}

// A known manifest was read and is what its name says.
type known struct {
	kept
	manifest *deployment.Manifest
	// read says that this process has read the file itself.
	read bool
}

// In are the manifests in a folder. They are remembered in the file memory, if that is
// not "".
func In(dir, memory string) *Manifests { return &Manifests{dir: dir, memory: memory} }

// Get returns a manifest whose file is the one that was checked against its id.
func (m *Manifests) Get(id string) (*deployment.Manifest, error) { return m.get(id, false) }

// Read is Get of a file that this process has checked itself: for what is about to boot.
func (m *Manifests) Read(id string) (*deployment.Manifest, error) { return m.get(id, true) }

func (m *Manifests) get(id string, itself bool) (*deployment.Manifest, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	k, err := m.look(id, itself)
	if err == nil && k.manifest == nil {
		if k.manifest, err = m.restore(k.kept); err != nil {
			m.changed = true
			k, err = m.read(id)
		}
	}
	if err != nil {
		return nil, err
	}
	own := *k.manifest
	return &own, nil
}

// look returns what is known of a manifest, having read it if it is not.
func (m *Manifests) look(id string, itself bool) (*known, error) {
	m.recall()
	k := m.known[id]
	if k == nil || itself && !k.read {
		return m.read(id)
	}
	if now, err := stampOf(os.Stat(m.path(id))); err != nil || now != k.Stamp {
		return m.read(id)
	}
	return k, nil
}

func (m *Manifests) path(id string) string { return m.dir + "/" + id + ".json" }

// read reads a manifest, and forgets it if it is not what its name says.
func (m *Manifests) read(id string) (*known, error) {
	before := m.known[id]
	delete(m.known, id)
	data, is, err := readFile(m.path(id))
	if errors.Is(err, fs.ErrNotExist) {
		err = ErrNone
	}
	if err != nil {
		return nil, fmt.Errorf("deployment %s: %w", id, err)
	}
	k := &known{read: true}
	if k.manifest, err = deployment.ParseManifest(data, id); err != nil {
		return nil, err
	}
	if k.kept, err = m.keep(k.manifest); err != nil {
		return nil, fmt.Errorf("deployment %s: %w", id, err)
	}
	k.Stamp, m.known[id] = is, k
	m.changed = m.changed || before == nil || before.Stamp != is
	return k, nil
}

// readFile returns a file's content, and by what it is seen that it is the same.
func readFile(path string) (data []byte, is stamp, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, is, err
	}
	defer f.Close()
	if is, err = stampOf(f.Stat()); err != nil {
		return nil, is, err
	}
	data, err = io.ReadAll(f)
	return data, is, err
}

// A stamp tells a file from what it was, and from others: inode, length, times.
type stamp struct {
	Inode    uint64 `json:"inode"`
	Size     int64  `json:"size"`
	Modified int64  `json:"modified"`
	Changed  int64  `json:"changed"`
}

func stampOf(info fs.FileInfo, err error) (stamp, error) {
	if err != nil {
		return stamp{}, err
	}
	st := info.Sys().(*syscall.Stat_t)
	return stamp{st.Ino, st.Size, st.Mtim.Nano(), st.Ctim.Nano()}, nil
}

// Objects calls do with each object that these deployments name, each once.
func (m *Manifests) Objects(ids []string, do func(deployment.Object)) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	list := make([]*known, len(ids))
	for i, id := range ids {
		var err error
		if list[i], err = m.look(id, false); err != nil {
			return err
		}
	}
	seen := make([]bool, len(m.objects.items))
	for _, k := range list {
		for i := range k.Objects.all() {
			if !seen[i] {
				seen[i] = true
				do(m.objects.items[i])
			}
		}
	}
	return nil
}

// Lacking returns those of these deployments that name an object which is not there, as
// has tells, which is asked of each once. Of one whose manifest cannot be read it says
// nothing.
func (m *Manifests) Lacking(ids []string, has func(deployment.Object) bool) map[string]bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	list := make(map[string]*known, len(ids))
	for _, id := range ids {
		if k, err := m.look(id, false); err == nil {
			list[id] = k
		}
	}
	asked, there, lacking := make([]bool, len(m.objects.items)), make([]bool, len(m.objects.items)), map[string]bool{}
	for id, k := range list {
		for i := range k.Objects.all() {
			if !asked[i] {
				asked[i], there[i] = true, has(m.objects.items[i])
			}
			if !there[i] {
				lacking[id] = true
			}
		}
	}
	return lacking
}
