package spec

import (
	"github.com/gitboot/gitboot/hooks/kind"
	"github.com/gitboot/gitboot/secret"
	"github.com/gitboot/gitboot/spec/health"
	"github.com/gitboot/gitboot/spec/partition"
	"github.com/gitboot/gitboot/spec/position"
)

// The structs below are the schema of a config file: the decoder, the merge
// and the JSON Schema are all made from them.
//
//	key      the TOML key
//	is       the check of the value, or of an array's or map's values (table/checks.go)
//	names    the check of a map's keys
//	default  what holds if the key is absent, for the JSON Schema
//	appends  the key of the array that this one's values are added to by overlay
//	doc      one line for editors
//	lines    see hooks/kind, which declares the built-in hooks in the same way
//
// A pointer or a nil slice or map is an absent key.

// document is one TOML file.
type document struct {
	Include  []string                `key:"include" is:"include" doc:"Globs of the other config files, from the repo's root; only in gitboot.toml. ** crosses folders."`
	Repo     *string                 `key:"repo" is:"name" doc:"What this repo is called; only in gitboot.toml. A machine whose agent.toml has repo_name takes a repo of that name only."`
	Defaults *defaultsDecl           `key:"defaults" doc:"What holds for every machine and image that doesn't say otherwise."`
	Profile  map[string]*profileDecl `key:"profile" names:"name" doc:"Settings that machines share."`
	Image    map[string]*imageDecl   `key:"image" names:"name" doc:"Images: pulled, read from an archive, or built."`
	Machine  map[string]*machineDecl `key:"machine" names:"name" doc:"Machines."`
	Hook     map[string]*hookDecl    `key:"hook" names:"name" doc:"Machine-specific files put above an image."`
	Secret   map[string]*secretDecl  `key:"secret" names:"name" doc:"Files of the repo that are encrypted to keys of machines."`
}

// site is where a declaration was made.
type site struct{ where position.Place }

func (s *site) Put(p position.Place) { s.where = p }

type defaultsDecl struct {
	site
	Machine *machineSettings `key:"machine" doc:"Merged below every machine's profiles."`
	Image   *imageDefaults   `key:"image" doc:"Merged below every image."`
	Secret  *secretDefaults  `key:"secret" doc:"What holds for every secret that does not say otherwise."`
}

// settings can be given for an image, a profile and a machine.
type settings struct {
	KernelArgs       []string            `key:"kernel_args" is:"kernel-arg" doc:"Kernel arguments, one an element; replaces what is merged below."`
	KernelArgsAppend []string            `key:"kernel_args_append" is:"kernel-arg" appends:"kernel_args" doc:"Kernel arguments added to what is merged below."`
	Kernel           *string             `key:"kernel" is:"kernel-glob" doc:"Glob over the kernel's path or version, if the image has several; the highest version that has modules if absent."`
	Keep             *int                `key:"keep" is:"keep" default:"3" doc:"How many generations of an image stay on the stage."`
	TmpfsSize        *string             `key:"tmpfs_size" is:"tmpfs-size" doc:"Size of the writable layer: 2G, 512M, or a share of the memory such as 50%, which is the kernel's default."`
	CopyToRAM        *bool               `key:"copy_to_ram" default:"false" doc:"Copy the layers to memory at boot, so that the stage's device can be removed."`
	Root             *partition.RootDecl `key:"root" doc:"The root file system's writable layer."`
	Verity           *string             `key:"verity" is:"verity" default:"off" doc:"What is done about a block of a layer that is not what it was when it was staged, wherever it is read. off: nothing finds it. report: the kernel logs it. enforce: it cannot be read."`
	Health           *health.HealthDecl  `key:"health" doc:"In mode managed: when a boot of what is new counts as good."`
}

type machineSettings struct {
	settings
	Images      []string              `key:"images" is:"name" doc:"Menu entries in order; the first is the default."`
	Hooks       []string              `key:"hooks" is:"name" doc:"Hooks by name, or a built-in one; replaces what is merged below."`
	HooksAppend []string              `key:"hooks_append" is:"name" appends:"hooks" doc:"Hooks added to what is merged below."`
	Builds      []string              `key:"builds" is:"name" doc:"Images that this machine builds itself instead of pulling what another pushed."`
	Arch        *string               `key:"arch" is:"arch" doc:"The machine's architecture. Images that say no platform are pulled and built for it, and its disk boots so. If absent, that of the computer that makes them."`
	Boot        *bootDecl             `key:"boot" doc:"How the boot menu is treated."`
	Approve     *approveDecl          `key:"approve" is:"approve" doc:"What has to approve of a revision before its menu entries are published: \"manual\" for gitboot approve alone, or a table. Nothing has to if absent."`
	Windows     []windowDecl          `key:"windows" doc:"When menu entries may change; at any time if absent or empty. Replaces what is merged below."`
	Reboots     []windowDecl          `key:"reboot_windows" doc:"When the machine may be restarted to boot what is new, by an agent whose agent.toml says reboot = \"window\"; it does not if this is absent or empty. Replaces what is merged below."`
	Recovery    *recoveryDecl         `key:"recovery" doc:"A boot entry that needs nothing of the stage but its own kernel and initramfs, for when nothing else boots; none if absent."`
	BootTest    *bootTestDecl         `key:"boot_test" is:"boot-test" doc:"on, or a table of what that machine has: what is new boots in a virtual machine before its menu entries are published, and has none if it does not come up. off, or absent: it does not."`
	Disk        *partition.DiskDecl   `key:"disk" doc:"How the machine's disk is divided, for gitboot disk image. A disk that is there already is never changed by it."`
	Objects     *string               `key:"objects" is:"objects" default:"use" doc:"What becomes of objects that others have made of images' layers. use: they are fetched. make: they are made here. rebuild: they are made here and compared, and the machine tells if they differ."`
	Unlock      *partition.UnlockDecl `key:"unlock" doc:"How process 1 opens an encrypted disk that the stage is on."`
	Vars        map[string]any        `key:"vars" doc:"Anything, for templates to use as .Vars."`
}

type bootDecl struct {
	Mode    *string `key:"mode" is:"boot-mode" default:"menu" doc:"menu: entries are merely there. managed: gitboot chooses the default, counts the boots of what is new, and falls back if they fail."`
	Timeout *int    `key:"timeout" is:"menu-timeout" doc:"Seconds that the menu is shown, also where the distribution hides it; -1 for ever; absent leaves the distribution's alone."`
	Tries   *int    `key:"tries" is:"tries" default:"3" doc:"In mode managed, how often what is new may boot by itself without proving good, before what was good boots again."`
	Loader  *string `key:"loader" is:"boot-loader" doc:"Which boot loader shows the entries: grub, systemd-boot, extlinux for U-Boot and what else reads an extlinux.conf, or rpi for the firmware of a Raspberry Pi. Absent: GRUB or systemd-boot, whichever is there, and of both the one that has started the machine; on a Raspberry Pi with neither, its firmware."`
	Secure  *bool   `key:"secure_boot" default:"false" doc:"With loader systemd-boot: each entry is one program of kernel, initramfs and command line, signed with the machine's key (gitboot keys), which the firmware starts while Secure Boot is on. With verity = \"enforce\" it covers all that boots."`
	Signer  *string `key:"signed_by" is:"name" doc:"With secure_boot, a machine of this repo whose agent signs what this one boots, which has the certificate and not the key; nobody does by itself if absent."`
	Safe    *bool   `key:"safe_graphics" default:"false" doc:"The menu has one more entry, of the first image's newest good generation, with the kernel argument nomodeset: for a screen that a driver leaves dark. It boots when it is chosen, and never by itself."`
	OnBad   *string `key:"on_bad" is:"on-bad" doc:"In mode managed, what is done besides about what has proved bad. revert: a branch gitboot/revert-MACHINE-COMMIT is pushed to the config repo, with a commit that takes back what brought it; agent.toml says with what credential."`
}

// recoveryDecl asks for a recovery entry by being there.
type recoveryDecl struct {
	SSHKeys     []string `key:"ssh_keys" is:"login-key" doc:"Public keys of those who may log in there as root by ssh, one line of a .pub file an element, without options. Without any, there is only the console."`
	Address     *string  `key:"address" is:"address" doc:"The address there with its prefix, such as 192.0.2.10/24; by DHCP if absent."`
	Gateway     *string  `key:"gateway" is:"ip" doc:"The gateway, in the address's network."`
	Nameservers []string `key:"nameservers" is:"ip" doc:"Addresses of DNS servers."`
	Interface   *string  `key:"interface" is:"interface" doc:"The interface that has the address, by the kernel's own name, such as eth0; the first wired one if absent."`
}

// bootTestDecl may be written as a word, too.
type bootTestDecl struct {
	site
	off     bool
	Network *string `key:"network" is:"test-network" default:"none" doc:"none: it has no network card. isolated: it has one, and an address, and reaches nothing. outside: it reaches what the machine does that stages it."`
	Memory  *string `key:"memory" is:"memory" default:"2GB" doc:"How much memory it has."`
}

// Word takes one of the two words that there are.
func (b *bootTestDecl) Word(word string) { b.off = word == "off" }

// approveDecl may be written as a word, too.
type approveDecl struct {
	site
	manual bool
	After  *string `key:"after" is:"span" doc:"How long a revision has to have waited, staged, such as 12h or 3d; what waits in its place begins anew. gitboot approve is heeded at once."`
	Tag    *string `key:"tag" is:"git-tag" doc:"What the name of an annotated tag matches that approves of its commit, if a key that the machine trusts has signed it: such as approved/*, where * and ? match anything but a slash."`
}

// Word takes the one word that there is.
func (a *approveDecl) Word(string) { a.manual = true }

// windowDecl is a time in which something may happen.
type windowDecl struct {
	site
	Cron     *string `key:"cron" is:"cron" required:"true" doc:"When the window opens, as cron; each machine a little later, by its name."`
	Duration *string `key:"duration" is:"duration" required:"true" doc:"For how long it is open, such as 3h; a week at most."`
	TimeZone *string `key:"time_zone" is:"time-zone" doc:"The time zone of cron, such as Europe/Berlin; the machine's own if absent."`
}

type profileDecl struct {
	site
	Profiles []string `key:"profiles" is:"name" doc:"Profiles merged before this one, in order."`
	machineSettings
}

type machineDecl struct {
	site
	Profiles   []string `key:"profiles" is:"name" doc:"Profiles merged in order, the machine last."`
	MachineID  *string  `key:"machine_id" is:"machine-id" doc:"The machine's /etc/machine-id: 32 hex digits. If given, the agent refuses to run on another."`
	ObjectsKey *string  `key:"objects_key" is:"key-file" doc:"Public keys in PEM, as cosign_key's, of what the machine publishes of images' layers; see objects_from."`
	Key        *string  `key:"key" is:"recipient" doc:"The machine's public key, to which its secrets are encrypted: age1…, ssh-ed25519 … or ssh-rsa …, as gitboot secret key prints it there."`
	machineSettings
}

type secretDefaults struct {
	Recipients []string `key:"recipients" is:"recipient" doc:"Keys of those, besides machines, who can read and change secrets: age1…, ssh-ed25519 … or ssh-rsa …."`
}

// A secretDecl is a secret. Its file is not opened by who only reads the repo.
type secretDecl struct {
	site
	File     *string  `key:"file" is:"repo-path" required:"true" doc:"The encrypted file in the repo; gitboot secret encrypt writes it."`
	Machines []string `key:"machines" is:"machine-glob" required:"true" doc:"Globs over the names of the machines that can read it."`
	secretDefaults

	header secret.Header // of the file
	unread string        // what keeps the file from having one
}

// registrySettings say how an image is fetched.
type registrySettings struct {
	Mirrors         []string `key:"mirrors" is:"mirror" doc:"Registries to ask first for what has a digest, in order: host[:port][/prefix]."`
	TrustMirrorTags *bool    `key:"trust_mirror_tags" default:"false" doc:"Let mirrors say what a tag means, and so what boots; otherwise only the registry does."`
	Insecure        *bool    `key:"insecure" default:"false" doc:"Allow plain HTTP and unverified certificates."`
	CredentialsFile *string  `key:"credentials_file" is:"absolute-path" doc:"A docker or podman auth.json on the machine."`
	Platform        *string  `key:"platform" is:"platform" doc:"os/architecture[/variant]; the machine's own if absent."`
	LayerSize       *string  `key:"layer_size" is:"size" doc:"How much a layer of the image, or of its base, may hold when expanded, such as 30GB; if absent, what the agent allows."`
	CosignKey       *string  `key:"cosign_key" is:"key-file" doc:"Public keys in PEM, a path in the repo or an absolute path on the machine: only images that one of them signed are staged; none takes away what the defaults say."`
	CosignRepo      *string  `key:"cosign_repository" is:"repository" doc:"The repository that signatures name, if not the image's own: where it was copied from."`
	ObjectsFrom     []string `key:"objects_from" is:"name" doc:"Machines whose objects_key is believed: what they publish of the image's layers, ready to be booted, is fetched instead of being made. So is what the keys of cosign_key have signed."`
	Update          *string  `key:"update" is:"cron" doc:"When to look for a new digest, as cron; if absent, only when the reference changes or reconcile is given --update."`
}

type imageDefaults struct {
	settings
	registrySettings
}

type imageDecl struct {
	site
	_       struct{}   `oneof:"pull,archive,build"`
	Pull    *string    `key:"pull" is:"image-ref" doc:"A registry reference: the image is pulled. Its tag may be a constraint, such as ~12 or 1.*: the highest one that is a version within it."`
	Archive *string    `key:"archive" is:"archive" doc:"A rootfs tar, an OCI layout or a docker archive: path in the repo, absolute path or URL."`
	SHA256  *string    `key:"sha256" is:"sha256" doc:"The archive's digest; required with a URL."`
	Strip   *int       `key:"strip" is:"strip" default:"0" doc:"How many leading folders are taken off the names in a rootfs tar."`
	Build   *buildDecl `key:"build" doc:"The image is built."`
	settings
	registrySettings
}

type buildDecl struct {
	site
	From           *string           `key:"from" is:"from" required:"true" doc:"image:NAME, a registry reference, archive:PATH, or scratch."`
	SHA256         *string           `key:"sha256" is:"sha256" doc:"The digest of from = \"archive:…\"; required with a URL."`
	Strip          *int              `key:"strip" is:"strip" default:"0" doc:"How many leading folders are taken off the names in the rootfs tar of from = \"archive:…\"."`
	Bootstrap      []string          `key:"bootstrap" is:"line" doc:"With from = \"scratch\": a command that writes a root file system tar to its standard output; ./PATH is an executable in the repo."`
	Containerfiles []string          `key:"containerfiles" is:"repo-path" doc:"Fragments, run in order; each begins FROM $GITBOOT_FROM."`
	Recipe         *string           `key:"recipe" is:"repo-path" doc:"A folder with an executable named script."`
	Run            []string          `key:"run" is:"text" doc:"Shell commands, after containerfiles and recipe."`
	Copy           []copyDecl        `key:"copy" doc:"Files from the repo, before run."`
	Context        *string           `key:"context" is:"repo-path" doc:"The folder that containerfiles see; the repo's root if absent."`
	Args           map[string]string `key:"args" names:"build-arg" is:"text" doc:"Build arguments."`
	Secrets        map[string]string `key:"secrets" names:"name" is:"absolute-path" doc:"Files of the building machine mounted for a step, never in a layer."`
	Labels         map[string]string `key:"labels" names:"label" is:"text" doc:"Labels of the image."`
	Platform       *string           `key:"platform" is:"platform" doc:"os/architecture[/variant] to build for."`
	Engine         *string           `key:"engine" is:"engine" doc:"What builds; the agent's choice if absent."`
	Timeout        *string           `key:"timeout" is:"duration" doc:"How long a build may take."`
	Schedule       *string           `key:"schedule" is:"cron" doc:"When to rebuild without cache, as cron."`
	Mirrors        []string          `key:"mirrors" is:"mirror" doc:"Registries to ask first for from and for other images that steps name, in order: host[:port][/prefix]."`
	MirrorTags     *bool             `key:"trust_mirror_tags" default:"false" doc:"Let these mirrors say what a tag means, and so what is built; otherwise only the registry does."`
	Insecure       *bool             `key:"insecure" default:"false" doc:"Allow plain HTTP and unverified certificates for from and for other images that steps name; for push, the image's own insecure counts."`
	Credentials    *string           `key:"credentials_file" is:"absolute-path" doc:"A docker or podman auth.json on the building machine, for from and push; for push, the image's own if absent."`
	CosignKey      *string           `key:"cosign_key" is:"key-file" doc:"As an image's, for from and for other images that steps name."`
	CosignRepo     *string           `key:"cosign_repository" is:"repository" doc:"As an image's, for from and for other images that steps name."`
	Push           *string           `key:"push" is:"tagged-ref" doc:"Where the built image is published; machines that don't build it pull this."`
	Compression    *string           `key:"push_compression" is:"compression" default:"zstd" doc:"How layers are compressed for push: zstd, or gzip for readers that know no zstd."`
	Deltas         *int              `key:"deltas" is:"deltas" default:"0" doc:"From how many of the images pushed before patches are published with this one, so that machines which have one of them fetch less."`
	Test           *string           `key:"test" is:"image-test" doc:"boot: what is built is booted in a virtual machine on the building machine, and counts as built if it comes up. Nothing is tested if absent."`
	Relayer        *string           `key:"relayer" is:"relayering" doc:"packages: what is built gets layers by its packages, at most 32, of which few change with an update. The layers that its steps make if absent."`
	NoCache        *bool             `key:"no_cache" default:"false" doc:"Never use the layer cache."`
	RootfsFixes    *bool             `key:"rootfs_fixes" default:"true" doc:"Put right what building inside a container leaves behind."`
}

type copyDecl struct {
	From *string `key:"from" is:"repo-path" required:"true" doc:"File or folder in the repo."`
	To   *string `key:"to" is:"absolute-path" required:"true" doc:"Where it goes in the image."`
}

type hookDecl struct {
	site
	Images  []string     `key:"images" is:"image-glob" doc:"Globs over image:tag that the hook applies to; all images if absent."`
	Exclude []string     `key:"exclude" is:"image-glob" doc:"Globs over image:tag taken out of images."`
	Order   *int         `key:"order" default:"0" doc:"Hooks with lower numbers come first; equal ones as the machine lists them."`
	File    []fileDecl   `key:"file" doc:"Files to write."`
	Link    []linkDecl   `key:"link" doc:"Symbolic links to make."`
	Dir     []dirDecl    `key:"dir" doc:"Folders to make, or to give another mode and owner."`
	Remove  []string     `key:"remove" is:"hook-path" doc:"Files and folders of the image that the machine does not see; first of all, so that they can be replaced."`
	Run     []scriptDecl `key:"run" doc:"Scripts run when the hook is rendered; they write below $GITBOOT_OUT."`
	AtBoot  []atBootDecl `key:"at_boot" doc:"Scripts run in the new root before its init."`
	kind.Builtin
}

// bodyDecl is where a file's or script's content comes from.
type bodyDecl struct {
	Content        *string `key:"content" doc:"The content itself."`
	Source         *string `key:"source" is:"repo-path" doc:"A file in the repo."`
	Template       *string `key:"template" is:"template" doc:"Go text/template; sees .Machine, .Image and .Vars."`
	TemplateSource *string `key:"template_source" is:"repo-path" doc:"A template in the repo."`
}

// targetDecl is what a hook puts somewhere in the image.
type targetDecl struct {
	site
	Path   *string  `key:"path" is:"hook-path" required:"true" doc:"Where it goes."`
	Images []string `key:"images" is:"image-glob" doc:"Only for these images; among a hook's elements of one path, the first that matches counts."`
}

type fileDecl struct {
	targetDecl
	_      struct{} `oneof:"content,source,template,template_source,link,secret"`
	Mode   *string  `key:"mode" is:"mode" doc:"Octal, such as 0644, which is the default; 0755 if source is executable, 0600 with a secret."`
	Owner  *string  `key:"owner" is:"owner" default:"0:0" doc:"Numeric uid:gid."`
	Link   *string  `key:"link" is:"link" doc:"Make a symbolic link to this instead of a file, as [[hook.NAME.link]] does."`
	Secret *string  `key:"secret" is:"name" doc:"The content is this secret's; templates put one in with {{ secret NAME }}."`
	bodyDecl
}

type linkDecl struct {
	targetDecl
	To *string `key:"to" is:"template" required:"true" doc:"What it points to."`
}

type dirDecl struct {
	targetDecl
	Mode  *string `key:"mode" is:"mode" doc:"Octal; if neither mode nor owner are given, as the image has it, else 0755."`
	Owner *string `key:"owner" is:"owner" doc:"Numeric uid:gid; 0:0 if only mode is given."`
}

// targets lists what a hook puts into the image, each kind by itself.
func (h *hookDecl) targets() (all [3][]*targetDecl) {
	for i := range h.File {
		all[0] = append(all[0], &h.File[i].targetDecl)
	}
	for i := range h.Link {
		all[1] = append(all[1], &h.Link[i].targetDecl)
	}
	for i := range h.Dir {
		all[2] = append(all[2], &h.Dir[i].targetDecl)
	}
	return all
}

type scriptDecl struct {
	atBootDecl
	Timeout *string           `key:"timeout" is:"duration" default:"5m" doc:"How long it may run."`
	Env     map[string]string `key:"env" names:"env" is:"template" doc:"Environment variables; the values are templates."`
	Network *bool             `key:"network" default:"false" doc:"Whether it may reach the network."`
	Secrets []string          `key:"secrets" is:"name" doc:"Secrets that it may read, in files of these names below $GITBOOT_SECRETS."`
}

type atBootDecl struct {
	site
	_    struct{} `oneof:"content,source,template,template_source"`
	Name *string  `key:"name" is:"name" doc:"For the log; the source's file name, else the script's position, if absent."`
	bodyDecl
}
