package arch

// The layers, lowest first. A package imports from layers below its own, and
// from its own only where its rule names the other.
const (
	shared    = iota // what any may use
	data             // contracts
	codecs           // bytes to values and back
	cores            // what is wanted: pure
	leaves           // what does the work, each for itself
	decisions        // what is to be done: pure
	runs             // doing it
	commands         // flags, printing, exit codes
)

// A rule says which packages of this module, and which modules of others, one
// package may import. Whatever is in it must be made use of.
type rule struct {
	folder string
	layer  int
	why    string
	// ours are packages of this module beyond those of internal.
	ours []string
	// third are modules of others that are allowed, banned are packages of
	// the standard library that are not.
	third, banned []string
}

// untouching is for what decides without looking at the machine.
var untouching = []string{"os", "os/exec", "net", "net/http"}

var rules = []rule{
	{folder: "internal/ctxio", layer: shared, why: "what several leaves share"},
	{folder: "internal/durable", layer: shared, why: "what several leaves share", third: []string{"golang.org/x/sys"}},
	{folder: "internal/fault", layer: shared, why: "what several leaves share"},
	{folder: "internal/flock", layer: shared, why: "what several leaves share", third: []string{"golang.org/x/sys"}},
	{folder: "internal/nearest", layer: shared, why: "what several leaves share"},
	{folder: "internal/owned", layer: shared, why: "what several leaves share", third: []string{"golang.org/x/sys"}},
	{folder: "internal/plain", layer: shared, why: "what several leaves share"},
	{folder: "internal/program", layer: shared, why: "what several leaves share"},
	{folder: "internal/span", layer: shared, why: "what people type and what the repo declares is read alike", banned: untouching},
	{folder: "internal/progress", layer: shared, why: "what several leaves share"},
	{folder: "internal/proxy", layer: shared, why: "what several leaves share", third: []string{"golang.org/x/net"}},
	{folder: "internal/version", layer: shared, why: "a repo's tags and a registry's, and the check of both", third: []string{"github.com/Masterminds/semver/v3"}, banned: untouching},

	{folder: "build/engine/speaker/protocol", layer: data, why: "the contract of gitboot and gitboot-buildkit"},
	{folder: "deployment", layer: data, why: "linked into the program that is loaded at every boot"},
	{folder: "hooks/check", layer: data, why: "one pure check of a value serves both who declares and who renders it", banned: untouching},
	{folder: "hooks/conflict", layer: data, why: "what hooks are together", ours: []string{"hooks/kind"}, banned: untouching},
	{folder: "hooks/kind", layer: data, why: "what a hook is, for both who declares and who renders it", ours: []string{"hooks/check"}, banned: untouching},

	{folder: "boot/grub/env", layer: codecs, why: "GRUB's environment block"},
	{folder: "build/containerfile", layer: codecs, why: "what no engine would execute is found without one", banned: untouching},
	{folder: "build/engine/buildah/tarsplit", layer: codecs, why: "layers out of unpacked files"},
	{folder: "build/engine/oci", layer: codecs, why: "the image specification's documents"},
	{folder: "build/engine/steps", layer: codecs, why: "what engines print", ours: []string{"build/containerfile"}, banned: untouching},
	{folder: "initramfs/early/probe", layer: codecs, why: "linked into the program that is loaded at every boot"},
	{folder: "initramfs/modindex", layer: codecs, why: "linked into the program that is loaded at every boot"},
	{folder: "reconciler/source/commit", layer: codecs, why: "commits and who signed them", third: []string{"github.com/go-git/go-git/v5/plumbing", "github.com/hiddeco/sshsig", "golang.org/x/crypto"},
		banned: []string{"net", "net/http", "os/exec"}},
	{folder: "reconciler/source/gitdir", layer: codecs, why: "a repo in a folder, whoever owns it", third: []string{"github.com/go-git"},
		banned: []string{"net", "net/http", "os/exec"}},
	{folder: "reconciler/source/pack", layer: codecs, why: "git's packs", ours: []string{"reconciler/source/pack/delta"},
		third: []string{"github.com/go-git/go-git/v5", "github.com/klauspost/compress"}, banned: []string{"net", "net/http", "os/exec"}},
	{folder: "reconciler/source/pack/delta", layer: codecs, why: "objects out of differences", third: []string{"github.com/go-git/go-git/v5/plumbing/format/packfile"},
		banned: []string{"net", "net/http", "os/exec"}},
	{folder: "reconciler/source/pack/attack", layer: codecs, why: "hostile packs, for tests"},
	{folder: "reconciler/source/treefs", layer: codecs, why: "what names and links mean, wherever the tree lies", third: []string{"github.com/go-git/go-git/v5/plumbing"}, banned: untouching},
	{folder: "rootfs", layer: codecs, why: "layers as they lie on the stage", third: []string{"github.com/klauspost/compress"}},
	{folder: "rootfs/packages", layer: codecs, why: "reads files that it is handed, and nothing else", banned: append([]string{"database/sql"}, untouching...)},
	{folder: "build/recipe/recipetest", layer: codecs, why: "for tests alone", banned: untouching},
	{folder: "schedule", layer: codecs, why: "one meaning of a schedule for who declares it and who follows it", third: []string{"github.com/robfig/cron/v3"}, banned: untouching},
	{folder: "spec/render", layer: codecs, why: "the same text each time, whatever the machine", banned: untouching},
	{folder: "stage/internal/lock", layer: codecs, why: "who may write, and on what mount", third: []string{"golang.org/x/sys"}},
	{folder: "stage/internal/tarfs", layer: codecs, why: "a layer's tar for overlayfs"},

	{folder: "boot", layer: cores, why: "the same entries give the same menu; deployment names the kernel parameters", ours: []string{"deployment"}, banned: untouching},
	{folder: "build/recipe", layer: cores, why: "what is rendered is what is checked: executes nothing, and reads nothing but the given files",
		ours: []string{"build/containerfile"}, third: []string{"github.com/moby/patternmatcher"}, banned: append([]string{"time"}, untouching...)},
	{folder: "spec", layer: cores, why: "what a repo means is decided without touching the machine; one check serves spec and those who do the work",
		ours:  []string{"build/recipe", "deployment", "hooks/check", "hooks/conflict", "hooks/kind", "spec/bounds", "spec/find", "spec/position", "spec/problem", "spec/render", "spec/table"},
		third: []string{"github.com/BurntSushi/toml"}, banned: untouching},
	{folder: "spec/bounds", layer: codecs, why: "what is read of a repo, whatever is in it", banned: untouching},
	{folder: "spec/find", layer: cores, why: "what it cannot find is a problem of a place", ours: []string{"spec/bounds", "spec/position", "spec/problem"}, banned: untouching},
	{folder: "spec/position", layer: codecs, why: "where things are in TOML", third: []string{"github.com/BurntSushi/toml"}, banned: untouching},
	{folder: "spec/problem", layer: cores, why: "each problem has a place, and those of hooks too", ours: []string{"hooks/check", "spec/position"}, banned: untouching},
	{folder: "spec/table", layer: cores, why: "the form of what is declared; one check serves spec and those who do the work",
		ours: []string{"deployment", "hooks/check", "hooks/kind", "schedule", "spec/find", "spec/position", "spec/problem", "spec/render"}, banned: untouching},

	{folder: "boot/copies", layer: leaves, why: "kernels where a boot loader reads them", ours: []string{"boot", "boot/loader", "deployment"}, third: []string{"golang.org/x/sys"}},
	{folder: "boot/grub", layer: leaves, why: "one boot loader; its own folder has a place, too", ours: []string{"boot", "boot/copies", "boot/place", "deployment"}},
	{folder: "boot/loader", layer: leaves, why: "the contract of boot loaders", ours: []string{"boot"}},
	{folder: "boot/loader/suite", layer: leaves, why: "what every boot loader passes", ours: []string{"boot", "boot/loader"}},
	{folder: "boot/place", layer: leaves, why: "what it finds is told in boot's words", ours: []string{"boot"}, third: []string{"golang.org/x/sys"}},
	{folder: "build/engine", layer: leaves, why: "engines execute what a recipe has rendered, on images that image opens",
		ours: []string{"build/engine/oci", "build/engine/process", "build/recipe", "image"}, third: []string{"golang.org/x/sys"}},
	{folder: "build/engine/blobs", layer: leaves, why: "images for engines that have no store here", ours: []string{"build/engine", "build/engine/oci", "build/engine/speaker/protocol"}},
	{folder: "build/engine/buildah", layer: leaves, why: "one engine, and what others share of it",
		ours:  []string{"build/containerfile", "build/engine", "build/engine/buildah/tarsplit", "build/engine/process", "build/engine/steps", "build/recipe"},
		third: []string{"golang.org/x/sys"}},
	{folder: "build/engine/buildkit", layer: leaves, why: "one engine",
		ours: []string{"build/engine", "build/engine/blobs", "build/engine/process", "build/engine/speaker/protocol", "build/engine/steps", "build/recipe"}},
	{folder: "build/engine/docker", layer: leaves, why: "one engine, whose daemon has a BuildKit in it",
		ours: []string{"build/engine", "build/engine/blobs", "build/engine/buildkit", "build/engine/oci", "build/engine/speaker/protocol", "build/recipe"}},
	{folder: "build/engine/engines", layer: leaves, why: "all engines by name",
		ours: []string{"build/engine", "build/engine/buildah", "build/engine/buildkit", "build/engine/docker", "build/engine/podman", "build/engine/speaker/protocol"}},
	{folder: "build/engine/enginetest", layer: leaves, why: "what every engine passes", ours: []string{"build/engine", "build/engine/oci", "build/recipe", "build/recipe/recipetest"},
		third: []string{"golang.org/x/sys"}},
	{folder: "build/engine/podman", layer: leaves, why: "one engine, which speaks another's dialect", ours: []string{"build/engine/buildah"}},
	{folder: "build/engine/process", layer: leaves, why: "what makes images leaves nothing behind"},
	{folder: "build/engine/speaker", layer: leaves, why: "linked into a program of its own", ours: []string{"build/engine/speaker/protocol"},
		third: []string{"github.com/moby/buildkit", "github.com/containerd", "github.com/docker/cli", "github.com/opencontainers", "github.com/tonistiigi/fsutil", "google.golang.org/grpc"}},
	{folder: "hooks", layer: leaves, why: "what is declared, in its order, becomes a layer",
		ours: []string{"hooks/builtin", "hooks/check", "hooks/confine", "hooks/conflict", "hooks/formerdisk", "hooks/kind", "hooks/layer"}, third: []string{"golang.org/x/sys"}},
	{folder: "hooks/builtin", layer: leaves, why: "a file per built-in kind, which writes into the layer", ours: []string{"hooks/kind", "hooks/layer", "rootfs"},
		third: []string{"golang.org/x/crypto"}},
	{folder: "hooks/confine", layer: leaves, why: "a thread's rights, whatever it executes", third: []string{"golang.org/x/sys"}},
	{folder: "hooks/formerdisk", layer: leaves, why: "what it finds goes into the layer", ours: []string{"hooks/kind", "hooks/layer"}},
	{folder: "hooks/layer", layer: leaves, why: "rootfs names what is at a path of an image", ours: []string{"hooks/check", "hooks/kind", "rootfs"}, third: []string{"golang.org/x/sys"}},
	{folder: "image", layer: leaves, why: "one idea of an image, wherever it comes from",
		ours: []string{"image/archive", "image/internal/exchange", "image/internal/expand", "image/internal/untrusted", "image/registry"}, third: []string{"github.com/google/go-containerregistry"}},
	{folder: "image/archive", layer: leaves, why: "which kind of archive it is, and where its members lie", ours: []string{"image/internal/exchange", "image/internal/expand", "image/internal/untrusted"},
		third: []string{"github.com/google/go-containerregistry/pkg/v1", "golang.org/x/sys"}},
	{folder: "image/internal/exchange", layer: leaves, why: "the failures that it tells apart are those of what it brings", ours: []string{"image/internal/expand", "image/internal/untrusted"},
		third: []string{"github.com/google/go-containerregistry/pkg/v1/remote/transport", "golang.org/x/sys"}},
	{folder: "image/internal/expand", layer: leaves, why: "a stored tar within bounds", ours: []string{"image/internal/untrusted"}, third: []string{"github.com/klauspost/compress", "github.com/ulikunitz/xz"}},
	{folder: "image/internal/untrusted", layer: codecs, why: "what strangers say", third: []string{"github.com/google/go-containerregistry/pkg/v1"}, banned: untouching},
	{folder: "image/registry", layer: leaves, why: "registries", ours: []string{"image/internal/exchange", "image/internal/untrusted"},
		third: []string{"github.com/google/go-containerregistry", "github.com/klauspost/compress", "golang.org/x/sync"}},
	{folder: "initramfs", layer: leaves, why: "modules out of layers", ours: []string{"initramfs/modindex", "rootfs"},
		third: []string{"github.com/klauspost/compress", "github.com/ulikunitz/xz", "golang.org/x/sync"}},
	{folder: "initramfs/early", layer: leaves, why: "loaded at every boot: no network, TLS, git, TOML or registry", ours: []string{"deployment", "initramfs/early/probe", "initramfs/modindex"},
		third: []string{"golang.org/x/sys"}, banned: []string{"net", "net/http", "crypto/tls", "text/template"}},
	{folder: "reconciler/source", layer: leaves, why: "git",
		ours:  []string{"reconciler/source/clone", "reconciler/source/commit", "reconciler/source/gitdir", "reconciler/source/pack", "reconciler/source/transport", "reconciler/source/treefs"},
		third: []string{"github.com/go-git"}},
	{folder: "reconciler/source/clone", layer: leaves, why: "the bare clone on this machine, whole whatever is cut",
		ours:  []string{"reconciler/source/commit", "reconciler/source/pack", "reconciler/source/quarantine", "reconciler/source/transport", "reconciler/source/treefs"},
		third: []string{"github.com/go-git", "golang.org/x/sys"}},
	{folder: "reconciler/source/transport", layer: leaves, why: "git's servers",
		third: []string{"github.com/go-git", "github.com/skeema/knownhosts", "golang.org/x/crypto"}},
	{folder: "reconciler/source/quarantine", layer: leaves, why: "reads packs where they can do no harm", ours: []string{"reconciler/source/pack"},
		third: []string{"github.com/elastic/go-seccomp-bpf", "github.com/go-git/go-git/v5/plumbing", "github.com/landlock-lsm/go-landlock", "golang.org/x/sys"}},
	{folder: "stage", layer: leaves, why: "it stores the manifests that deployment defines, and looks into the layers below a new one",
		ours: []string{"deployment", "stage/internal/lock", "stage/internal/record", "stage/squash"}, third: []string{"golang.org/x/sync"}},
	{folder: "stage/internal/record", layer: leaves, why: "what a layer became depends on what is below it", ours: []string{"deployment", "stage/squash"}},
	{folder: "stage/squash", layer: leaves, why: "a layer's tar becomes a squashfs", ours: []string{"rootfs", "stage/internal/tarfs"}, third: []string{"golang.org/x/sys"}},

	{folder: "reconciler/plan", layer: decisions, why: "the same wants, observations and time give the same plan", ours: []string{"schedule"}, banned: untouching},
	{folder: "reconciler/state", layer: decisions, why: "the documents on disk, in which what was decided is kept",
		ours: []string{"boot", "build/recipe", "image", "reconciler/plan", "rootfs/packages", "stage"}},

	{folder: "reconciler/inventory", layer: runs, why: "what is on the stage, for those who compare", ours: []string{"deployment", "reconciler/plan", "reconciler/state", "rootfs", "rootfs/packages", "stage"}},
	{folder: "reconciler/machine", layer: runs, why: "converges the stage; it and the workshop meet in state alone",
		ours: []string{"boot", "build/engine", "deployment", "hooks", "hooks/formerdisk", "hooks/kind", "image", "initramfs", "reconciler/inventory", "reconciler/menu",
			"reconciler/origin", "reconciler/plan", "reconciler/state", "reconciler/wanted", "rootfs", "rootfs/packages", "spec", "stage"},
		third: []string{"golang.org/x/sync"}},
	{folder: "reconciler/menu", layer: runs, why: "what is staged, in boot's words; it knows which boot loaders there are",
		ours: []string{"boot", "boot/grub", "boot/loader", "boot/place", "deployment", "reconciler/state", "spec", "stage"}},
	{folder: "reconciler/origin", layer: runs, why: "what spec declares, asked of registries", ours: []string{"image", "reconciler/plan", "reconciler/state", "spec"}},
	{folder: "reconciler/report", layer: runs, why: "what documents and stage say, for people",
		ours: []string{"boot", "deployment", "reconciler/inventory", "reconciler/menu", "reconciler/plan", "reconciler/state", "rootfs/packages", "stage"}},
	{folder: "reconciler/operate", layer: runs, why: "what people decide beside the config repo, whoever passes it on", ours: []string{"deployment", "reconciler/machine", "reconciler/plan", "reconciler/state"}},
	{folder: "reconciler/wanted", layer: runs, why: "what the config repo declares, out of git", ours: []string{"reconciler/plan", "reconciler/source", "reconciler/source/transport", "spec"}},
	{folder: "reconciler/workshop", layer: runs, why: "makes images; it and the machine meet in state alone",
		ours: []string{"build/engine", "build/engine/engines", "build/recipe", "deployment", "image", "reconciler/inventory", "reconciler/origin", "reconciler/plan", "reconciler/state", "reconciler/wanted",
			"rootfs/packages", "spec", "stage"},
		third: []string{"golang.org/x/sync", "golang.org/x/sys"}},
	{folder: "reconciler", layer: runs, why: "it alone knows both workshop and machine",
		ours: []string{"boot", "build/engine", "build/engine/engines", "build/engine/speaker/protocol", "image", "reconciler/event", "reconciler/machine", "reconciler/menu", "reconciler/origin", "reconciler/plan", "reconciler/report",
			"reconciler/source", "reconciler/state", "reconciler/wanted", "reconciler/workshop", "spec", "stage"}},

	{folder: "reconciler/event", layer: decisions, why: "what is told, whoever is told it", ours: []string{"reconciler/plan"}, banned: untouching},
	{folder: "agent/live", layer: decisions, why: "it is told, and asks nothing", ours: []string{"reconciler/event", "reconciler/plan"}, banned: untouching},
	{folder: "agent/control", layer: runs, why: "one form of what is asked and answered, for both ends", ours: []string{"agent/listen", "agent/live", "reconciler/event", "reconciler/report"}},
	{folder: "agent", layer: runs, why: "the long-running program around a reconciler",
		ours: []string{"agent/control", "agent/listen", "agent/live", "agent/systemd", "agent/trigger", "agent/webhook", "reconciler", "reconciler/event", "reconciler/report"}},
	{folder: "agent/systemd", layer: leaves, why: "one service manager; knows nothing of what is told", third: []string{"github.com/coreos/go-systemd/v22", "golang.org/x/sys"}},
	{folder: "agent/listen", layer: leaves, why: "what is reached over HTTP is opened and bounded in one way", third: []string{"golang.org/x/net/netutil", "golang.org/x/sys", "golang.org/x/time"}},
	{folder: "agent/webhook", layer: leaves, why: "believes nothing, and so needs to know nothing"},
	{folder: "agent/trigger", layer: leaves, why: "says when to look, and knows nothing of what is done then", ours: []string{"reconciler/source/gitdir"}, third: []string{"github.com/fsnotify/fsnotify"}},
	{folder: "reconciler/doctor", layer: runs, why: "what a machine needs, as those who need it say",
		ours: []string{"boot/grub", "boot/grub/env", "boot/place", "build/engine/engines", "image", "reconciler", "reconciler/inventory", "reconciler/plan", "reconciler/source/quarantine",
			"reconciler/state", "reconciler/wanted", "spec", "stage"},
		third: []string{"golang.org/x/sys"}},
	{folder: "reconciler/upkeep", layer: runs, why: "what may be removed is not for commands to decide",
		ours: []string{"boot/grub", "deployment", "image", "reconciler", "stage"}},

	{folder: "cmd/gitboot", layer: commands, why: "flags, printing, exit codes",
		ours: []string{"agent", "agent/control", "agent/live", "agent/systemd", "boot", "cmd/gitboot/internal/checkup", "cmd/gitboot/internal/settings", "cmd/gitboot/internal/difference", "cmd/gitboot/internal/operating", "cmd/gitboot/internal/screen", "cmd/gitboot/internal/usage",
			"hooks/kind", "image", "reconciler", "reconciler/doctor", "reconciler/event", "reconciler/plan", "reconciler/report", "reconciler/source", "reconciler/state", "reconciler/upkeep", "reconciler/wanted", "reconciler/workshop", "rootfs/packages", "spec", "stage"},
		third: []string{"github.com/go-git/go-git/v5/plumbing", "github.com/spf13"}},
	{folder: "cmd/gitboot/internal/checkup", layer: commands, why: "what was found, for people", ours: []string{"cmd/gitboot/internal/screen", "cmd/gitboot/internal/usage", "reconciler/doctor"},
		third: []string{"github.com/spf13/cobra"}},
	{folder: "cmd/gitboot/internal/settings", layer: commands, why: "agent.toml becomes the reconciler's configuration, checked by those who use it",
		ours:  []string{"agent/control", "agent/listen", "boot", "build/engine/engines", "build/engine/speaker/protocol", "cmd/gitboot/internal/usage", "deployment", "image", "reconciler", "reconciler/source", "spec"},
		third: []string{"github.com/BurntSushi/toml", "github.com/go-git/go-git/v5/plumbing"}},
	{folder: "cmd/gitboot/internal/difference", layer: commands, why: "the same plan gives the same lines",
		ours: []string{"cmd/gitboot/internal/screen", "reconciler/plan"}, banned: untouching},
	{folder: "cmd/gitboot/internal/operating", layer: commands, why: "commands by which people decide what the config repo does not",
		ours: []string{"cmd/gitboot/internal/screen", "cmd/gitboot/internal/usage", "reconciler", "reconciler/machine", "reconciler/operate"}, third: []string{"github.com/spf13/cobra"}},
	{folder: "cmd/gitboot/internal/overview", layer: commands, why: "the same events, time and width give the same lines", banned: []string{"os", "io", "net", "net/http"}},
	{folder: "cmd/gitboot/internal/screen", layer: commands, why: "progress, logs, tables, colours", ours: []string{"agent/systemd", "cmd/gitboot/internal/overview"},
		third: []string{"golang.org/x/term"}},
	{folder: "cmd/gitboot/internal/usage", layer: commands, why: "what somebody typed wrong", third: []string{"github.com/spf13/cobra"}, banned: untouching},
	{folder: "cmd/gitboot-buildkit", layer: commands, why: "main of the program that speaks to a builder", ours: []string{"build/engine/speaker", "build/engine/speaker/protocol"},
		third: []string{"github.com/sirupsen/logrus"}},
	{folder: "cmd/gitboot-init", layer: commands, why: "main of process 1", ours: []string{"initramfs/early"}},
}
