// Package reconciler puts the parts of a reconcile together: it reads what is
// wanted (package wanted), has the workshop make images and the machine converge,
// and says what both did. The daemon and `gitboot reconcile --once` run the same
// code.
package reconciler

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gitboot/gitboot/boot"
	"github.com/gitboot/gitboot/build/engine"
	"github.com/gitboot/gitboot/build/engine/engines"
	"github.com/gitboot/gitboot/build/engine/speaker/protocol"
	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/image"
	"github.com/gitboot/gitboot/internal/progress"
	"github.com/gitboot/gitboot/internal/proxy"
	"github.com/gitboot/gitboot/reconciler/machine"
	"github.com/gitboot/gitboot/reconciler/menu"
	"github.com/gitboot/gitboot/reconciler/origin"
	"github.com/gitboot/gitboot/reconciler/recovery"
	"github.com/gitboot/gitboot/reconciler/rehearsal"
	"github.com/gitboot/gitboot/reconciler/source"
	"github.com/gitboot/gitboot/reconciler/wanted"
	"github.com/gitboot/gitboot/reconciler/workshop"
	"github.com/gitboot/gitboot/secret/keyring"
	"github.com/gitboot/gitboot/stage"
)

// Config is what a reconciler has to be told of this machine. What one run is
// asked for is a Request.
type Config struct {
	// Source names the config repo; its Dir is set to the stage's clone.
	Source source.Options
	// RepoName is what the config repo must call itself, "" = anything.
	RepoName string
	// Worktree reads the config repo's folder as it lies there, committed or
	// not, for looking at what it would do.
	Worktree bool
	// Subdir is the folder of gitboot.toml in the repo, empty for its root.
	Subdir string
	// Machine is the name in the config repo, MachineFrom where it came
	// from, for messages.
	Machine, MachineFrom string
	// OrImage lets Machine be an image's name, of which no machine is declared.
	OrImage bool
	// MachineID is the running system's /etc/machine-id, empty if unknown.
	MachineID string
	// Stage is the stage's folder, Boot that of the boot loader's
	// custom.cfg (empty: looked for), Init the gitboot-init binary.
	Stage, Boot, Init string
	// Programs go into the recovery entry.
	Programs recovery.Programs
	// Location, if set, is where GRUB and process 1 will find the stage: for
	// a stage that is prepared on a disk which this machine does not boot.
	Location *boot.Filesystem
	// BootLocation, if set, is where Boot will lie, likewise.
	BootLocation *boot.Filesystem
	// Arch is the architecture of the machine that boots the stage, "" for this computer's.
	Arch string
	// SigningKeys is the folder of the keys that sign what boots, "" for the stage's own.
	SigningKeys string
	// SigningCredentials are for putting signatures beside images, "" for those by which
	// these are pulled.
	SigningCredentials string
	// Booted is the id of the deployment that is running, empty if this
	// system was not booted by gitboot.
	Booted string
	// BootID is the running kernel's id of this boot, "" if it is not known.
	BootID string
	// Via is what has started that kernel, as deployment.Boot has it.
	Via string
	// Kexec says that the machine is to be restarted by kexec, where that can be.
	Kexec bool
	// Notices is the folder of the running system in which other programs see
	// whether a reboot is needed, "" for nowhere.
	Notices string
	// BuildDir holds the engines' images and caches, "" for the stage's folder
	// engine. Engine is the one that builds what names none, "" for buildah.
	BuildDir, Engine string
	// Buildkit says how the engine buildkit reaches its builder.
	Buildkit Buildkit
	// DockerSocket is where the docker daemon listens, "" for its usual place.
	DockerSocket string
	// CacheSize bounds what an engine keeps besides what is needed, in bytes; 0
	// means workshop.DefaultCacheSize.
	CacheSize int64
	// CredentialsFile is for images that name none themselves.
	CredentialsFile string
	// IdentityFile opens the config repo's secrets, "" for the machine's usual
	// keys.
	IdentityFile string
	// Identities open them besides, and Elsewhere says that another machine than this
	// computer is to boot what is made.
	Identities []keyring.Key
	Elsewhere  bool
	// ObjectsKey is the file of the key that signs what is published of the layers of
	// pushed images, "" if nothing is.
	ObjectsKey string
	// TokenServers are hosts that registries' credentials may be sent to.
	TokenServers []string
	// Proxy is that for git and registries.
	Proxy proxy.Settings
	// Peers, if set, are other machines of this network that may have objects.
	Peers *image.Peers
	// LayerSize is how much a layer may hold, in bytes, of an image that does not
	// say so itself, and LayerEntries how many files; Reserve is how much of the
	// stage's file system stays free. 0 means the packages' defaults.
	LayerSize, Reserve int64
	LayerEntries       int
	// Turn is how long an image's layers may take before others overtake them,
	// and ImageTime when they are given up; 0 means two minutes, twelve hours.
	Turn, ImageTime time.Duration
	// Timing bounds how long a registry's faults are endured; zero fields
	// mean package image's defaults.
	Timing   image.Timing
	Log      *slog.Logger
	Progress progress.Sink
	// Now is the clock, and Uptime how long ago the machine was started.
	Now    func() time.Time
	Uptime func() time.Duration
}

// Buildkit says how a builder that is a BuildKit daemon is reached.
type Buildkit struct {
	// Program is gitboot-buildkit, which speaks to it.
	Program string
	Builder protocol.Builder
}

// A Reconciler works on one stage. Its parts may be used by themselves.
type Reconciler struct {
	Repo    wanted.Repo
	Shop    workshop.Shop
	Machine machine.Machine
	notices string
	kexec   bool
	log     *slog.Logger
	// config is what it was made of.
	config Config
}

// New opens the stage, or creates it where its parent folder exists.
func New(cfg Config) (*Reconciler, error) {
	st, err := stage.Open(cfg.Stage)
	if errors.Is(err, stage.ErrNone) {
		st, err = create(cfg.Stage)
	}
	if err != nil {
		return nil, err
	}
	return on(st, cfg, st.Dir()), nil
}

// Existing opens a stage that is there already, for work that needs no config
// repo.
func Existing(cfg Config) (*Reconciler, error) {
	if _, err := stage.Open(cfg.Stage); err != nil {
		return nil, err
	}
	return New(cfg)
}

// Preview opens a stage for looking at it. Where there is none yet, none is
// made: what the look needs, such as the clone of the config repo, lies in a
// temporary folder until done is called.
func Preview(cfg Config) (r *Reconciler, done func() error, err error) {
	cfg.Source.Look = true
	st, err := stage.Open(cfg.Stage)
	switch {
	case err == nil:
		return on(st, cfg, st.Dir()), func() error { return nil }, nil
	case !errors.Is(err, stage.ErrNone):
		return nil, nil, err
	}
	if err := creatable(cfg.Stage); err != nil {
		return nil, nil, err
	}
	dir, err := os.MkdirTemp("", "gitboot-preview-")
	if err != nil {
		return nil, nil, fmt.Errorf("make a folder to look from: %w", err)
	}
	done = func() error { return os.RemoveAll(dir) }
	if st, err = stage.Create(filepath.Join(dir, "stage")); err != nil {
		return nil, nil, errors.Join(err, done())
	}
	return on(st, cfg, cfg.Stage), done, nil
}

// create makes no parent folders: one that is missing may be a disk that is
// not mounted.
func create(dir string) (*stage.Stage, error) {
	if err := creatable(dir); err != nil {
		return nil, err
	}
	return stage.Create(dir)
}

func creatable(dir string) error {
	parent := filepath.Dir(filepath.Clean(dir))
	if info, err := os.Stat(parent); err != nil || !info.IsDir() {
		return fmt.Errorf("create stage %s: there is no folder %s; mount its file system, make the folder, or name another place with --stage", dir, parent)
	}
	return nil
}

// on makes the parts for a stage that lies, or will lie, at place.
func on(st *stage.Stage, cfg Config, place string) *Reconciler {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Uptime == nil {
		cfg.Uptime = uptime
	}
	if cfg.Location != nil && cfg.Booted == "" { // another machine boots it
		cfg.BootID = ""
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	st.Log, st.Reserve, st.Entries = cfg.Log, cfg.Reserve, cfg.LayerEntries
	return &Reconciler{Repo: cfg.repo(st), Shop: cfg.shop(st), Machine: cfg.machine(st, place), notices: cfg.Notices, kexec: cfg.Kexec, log: cfg.Log, config: cfg}
}

func (cfg Config) repo(st *stage.Stage) wanted.Repo {
	cfg.Source.Dir, cfg.Source.Log, cfg.Source.Progress, cfg.Source.Proxy = st.Repo(), cfg.Log, cfg.Progress, cfg.Proxy
	cfg.Source.Sessions = tls.NewLRUClientSessionCache(0)
	cfg.Source.Beside = "refs/heads/" + testingBranch(cfg.Machine)
	return wanted.Repo{
		Memory: filepath.Join(st.Dir(), stage.WantsFile),
		Source: cfg.Source, Name: cfg.RepoName, Worktree: cfg.Worktree, Subdir: cfg.Subdir,
		Machine: cfg.Machine, MachineFrom: cfg.MachineFrom, OrImage: cfg.OrImage, MachineID: cfg.MachineID, Log: cfg.Log, Now: cfg.Now,
	}
}

func (cfg Config) shop(st *stage.Stage) workshop.Shop {
	return workshop.Shop{
		Stage: st, ObjectsKey: cfg.ObjectsKey, Find: cfg.find(st.Workshop().Downloads()), Engine: cfg.engines(st), EngineDir: cfg.buildDir(st), Engines: engines.Names(), Repo: cfg.Source.URL, Init: cfg.Init, KnownKVM: rehearsal.KnownKVM(),
		CacheSize: cfg.CacheSize, Reserve: cfg.Reserve, Log: cfg.Log, Progress: cfg.Progress, Now: cfg.Now,
	}
}

func (cfg Config) machine(st *stage.Stage, place string) machine.Machine {
	return machine.Machine{
		Name: cfg.Machine, BootID: cfg.BootID, Via: cfg.Via, Written: deployment.UpperMount, Stage: st, Find: cfg.find(st.Downloads()), Engine: cfg.engines(st), EngineDir: cfg.buildDir(st), Init: cfg.Init, Programs: cfg.Programs,
		Book: menu.Book{Stage: st, Place: place, Folder: cfg.Boot, FolderLocation: cfg.BootLocation, Arch: cfg.Arch, SigningKeys: cmp.Or(cfg.SigningKeys, filepath.Join(st.Dir(), stage.KeysDir)), Booted: cfg.Booted, Location: cfg.Location, Log: cfg.Log},
		Keys: keyring.Keyring{File: cfg.IdentityFile, Kept: st.Secrets(), Identities: cfg.Identities, Elsewhere: cfg.Elsewhere},
		Turn: cfg.Turn, Log: cfg.Log, Progress: cfg.Progress, Now: cfg.Now,
	}
}

func (cfg Config) find(downloads string) origin.Finder {
	return origin.Finder{
		Options: image.Options{
			CredentialsFile: cfg.CredentialsFile, TokenServers: cfg.TokenServers, CacheDir: downloads,
			Expansion: image.Expansion{Size: cfg.LayerSize}, Reserve: cfg.Reserve, Connections: &image.Connections{Proxy: cfg.Proxy}, Peers: cfg.Peers,
			Timing: cfg.Timing, Log: cfg.Log, Progress: cfg.Progress,
		},
		ImageTime: cfg.ImageTime, Now: cfg.Now, Uptime: cfg.Uptime,
	}
}

// uptime is how long ago the machine was started, its sleep included.
func uptime() time.Duration {
	var since unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &since); err != nil {
		return 0 // no kernel that runs this has no such clock
	}
	return time.Duration(since.Nano())
}

// engines opens engines by name, "" for the one that builds what names none.
func (cfg Config) engines(st *stage.Stage) func(string) (engine.Engine, error) {
	opts := engines.Options{
		Dir: cfg.buildDir(st), Program: cfg.Buildkit.Program, Builder: cfg.Buildkit.Builder, DockerSocket: cfg.DockerSocket,
	}
	return func(name string) (engine.Engine, error) {
		return engines.Open(cmp.Or(name, cfg.Engine, engines.Default), opts)
	}
}

func (cfg Config) buildDir(st *stage.Stage) string { return cmp.Or(cfg.BuildDir, st.Engine()) }
