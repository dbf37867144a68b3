package early

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/initramfs/modindex"
)

// modules loads each module once, whoever asks; several goroutines may.
type modules struct {
	index *modindex.Index
	log   *log
	state []moduleState
	// words are those of the kernel's command line: it has parameters of modules, too.
	words []string

	gate    sync.RWMutex // held for reading while a module is loaded
	stopped bool

	mu       sync.Mutex
	deferred []func() // slow drivers, until release
	released bool
	busy     int       // quick drivers being loaded
	idle     time.Time // since when there are none
}

type moduleState struct {
	once  sync.Once
	err   error
	asked atomic.Bool
	after atomic.Bool // the modules that follow have been asked for
}

func newModules(x *modindex.Index, l *log, cmdline string) *modules {
	return &modules{index: x, log: l, state: make([]moduleState, len(x.Modules)), words: deployment.Fields(cmdline)}
}

// loadNamed loads modules that the boot can't do without.
func (m *modules) loadNamed(names ...string) error {
	for _, name := range names {
		if m.index.Has(name) {
			continue
		}
		n := m.index.Find(name)
		if n < 0 {
			return fmt.Errorf("loading module %s: the initramfs doesn't carry it", name)
		}
		if err := m.load(n); err != nil {
			return err
		}
	}
	return nil
}

// loadAhead loads those of the modules that the initramfs carries, while there is time.
// Why one fails is told to who cannot do without it, and asks for it again.
func (m *modules) loadAhead(names ...string) {
	for _, name := range names {
		if m.index.Find(name) >= 0 {
			_ = m.loadNamed(name)
		}
	}
}

// loadThere loads those of the modules that the kernel has.
func (m *modules) loadThere(names ...string) {
	for _, name := range names {
		if err := m.loadNamed(name); err != nil {
			m.log.debug("%v", err)
		}
	}
}

// quick begins the names of drivers whose disks, where there are any, are
// there at once. Loading a stack of SCSI for nothing costs a virtual machine
// more time than all the rest.
var quick = [...]string{"virtio", "nvme", "xen", "hv_"}

func isQuick(name string) bool {
	return slices.ContainsFunc(quick[:], func(p string) bool { return strings.HasPrefix(name, p) })
}

// request begins to load what drives a device, or, if that may take long,
// puts it off until release.
func (m *modules) request(modalias string) {
	for _, n := range m.index.Match(modalias) {
		if m.state[n].asked.Swap(true) {
			continue
		}
		work := func() {
			if err := m.load(n); err != nil && !errors.Is(err, errStopped) {
				m.log.info("for device %s: %v", modalias, err)
			}
		}
		m.mu.Lock()
		switch {
		case m.released:
			go work()
		case isQuick(modindex.Name(m.index.Modules[n].Path)):
			m.busy++
			go func() { work(); m.done() }()
		default:
			m.deferred = append(m.deferred, work)
		}
		m.mu.Unlock()
	}
}

func (m *modules) done() {
	m.mu.Lock()
	m.busy--
	m.idle = time.Now()
	m.mu.Unlock()
}

// release lets the slow drivers load, all at once, unless quick ones are
// still at work or were a moment ago; it reports whether it did.
func (m *modules) release() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.busy > 0 || time.Since(m.idle) < quickSettle {
		return false
	}
	m.released = true
	for _, work := range m.deferred {
		go work()
	}
	m.deferred = nil
	return true
}

// load loads a module after all that it needs, then what should follow.
func (m *modules) load(n int) error {
	chain := append(append([]int{}, m.index.Modules[n].Before...), n)
	for _, k := range chain {
		// what fails here may be one of several that serve, or be
		// missed by the module itself: its error decides
		if err := m.insert(k); err != nil && k == n {
			return err
		}
	}
	for _, k := range chain {
		if m.state[k].after.Swap(true) {
			continue
		}
		for _, next := range m.index.Modules[k].After {
			if err := m.load(next); err != nil {
				m.log.debug("%v", err)
			}
		}
	}
	return nil
}

func (m *modules) insert(n int) error {
	s := &m.state[n]
	s.once.Do(func() {
		m.gate.RLock()
		defer m.gate.RUnlock()
		if s.err = errStopped; !m.stopped {
			s.err = m.place(m.index.Modules[n].Path)
		}
	})
	return s.err
}

// place puts a module into the kernel, whatever was typed for it.
func (m *modules) place(path string) error {
	file, params := filepath.Join(m.index.Dir, path), parameters(modindex.Name(path), m.words)
	err := insert(file, params)
	if params != "" && errors.Is(err, unix.EINVAL) {
		m.log.error("%v with %q; it is loaded without", err, params)
		err = insert(file, "")
	}
	return err
}

var errStopped = errors.New("the stage is found, the image's own system will load it")

// stop lets no more modules be loaded and waits for those that are being: to
// become the image's init kills all threads, and a driver that is interrupted
// while it starts may give up its device for good.
func (m *modules) stop() {
	m.gate.Lock()
	defer m.gate.Unlock()
	m.stopped = true
}

// parameters are those that the kernel's command line has for a module, as modprobe(8)
// takes them from there: NAME.PARAMETER=VALUE, where - and _ are alike.
func parameters(module string, words []string) string {
	var out []string
	for _, word := range words {
		if word == "--" {
			break
		}
		name, parameter, ok := strings.Cut(word, ".")
		if ok && strings.ReplaceAll(name, "-", "_") == module {
			out = append(out, parameter)
		}
	}
	return deployment.Line(out)
}

func insert(file, params string) error {
	f, err := os.Open(file)
	if err != nil {
		return fmt.Errorf("loading module: %w", err)
	}
	defer f.Close()
	if err := unix.FinitModule(int(f.Fd()), params, 0); err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("loading module %s: %w", file, err)
	}
	return nil
}
