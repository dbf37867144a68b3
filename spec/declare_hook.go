package spec

type hookDecl struct {
	site
	Images         []string            `key:"images" is:"image-glob" doc:"Globs over image:tag that the hook applies to; all images if absent."`
	Exclude        []string            `key:"exclude" is:"image-glob" doc:"Globs over image:tag taken out of images."`
	Order          *int                `key:"order" default:"0" doc:"Hooks with lower numbers come first; equal ones as the machine lists them."`
	File           []fileDecl          `key:"file" doc:"Files to write."`
	Run            []scriptDecl        `key:"run" doc:"Scripts run when the hook is rendered; they write below $GITBOOT_OUT."`
	AtBoot         []atBootDecl        `key:"at_boot" doc:"Scripts run in the new root before its init."`
	Fstab          *fstabDecl          `key:"fstab" doc:"Built in: /etc/fstab."`
	Hostname       *hostnameDecl       `key:"hostname" doc:"Built in: /etc/hostname and /etc/hosts."`
	MachineID      *machineIDDecl      `key:"machine-id" doc:"Built in: /etc/machine-id, the same at every boot."`
	SSHHostKeys    *sshHostKeysDecl    `key:"ssh-host-keys" doc:"Built in: the SSH server's keys, generated once and kept on the stage."`
	AuthorizedKeys *authorizedKeysDecl `key:"authorized-keys" doc:"Built in: users' ~/.ssh/authorized_keys."`
	ResolvConf     *resolvConfDecl     `key:"resolv-conf" doc:"Built in: /etc/resolv.conf."`
}

// bodyDecl is where a file's or script's content comes from.
type bodyDecl struct {
	Content        *string `key:"content" doc:"The content itself."`
	Source         *string `key:"source" is:"repo-path" doc:"A file in the repo."`
	Template       *string `key:"template" is:"template" doc:"Go text/template; sees .Machine, .Image and .Vars."`
	TemplateSource *string `key:"template_source" is:"repo-path" doc:"A template in the repo."`
}

type fileDecl struct {
	site
	_      struct{} `oneof:"content,source,template,template_source,link"`
	Path   *string  `key:"path" is:"absolute-path" required:"true" doc:"Where the file goes."`
	Images []string `key:"images" is:"image-glob" doc:"Only for these images; among a hook's files of one path, the first that matches is written."`
	Mode   *string  `key:"mode" is:"mode" doc:"Octal, such as 0644, which is the default; 0755 if source is executable."`
	Owner  *string  `key:"owner" is:"owner" default:"0:0" doc:"Numeric uid:gid."`
	Link   *string  `key:"link" is:"link" doc:"Make a symbolic link to this instead of a file."`
	bodyDecl
}

type scriptDecl struct {
	atBootDecl
	Timeout *string           `key:"timeout" is:"duration" default:"5m" doc:"How long it may run."`
	Env     map[string]string `key:"env" names:"env" is:"template" doc:"Environment variables; the values are templates."`
}

type atBootDecl struct {
	site
	_    struct{} `oneof:"content,source,template,template_source"`
	Name *string  `key:"name" is:"name" doc:"For the log; the source's file name, else the script's position, if absent."`
	bodyDecl
}

type fstabDecl struct {
	Mount []mountDecl `key:"mount" doc:"Lines of fstab(5)."`
}

type mountDecl struct {
	site
	Device  *string `key:"device" is:"template" required:"true" doc:"UUID=…, LABEL=…, a path, a network share."`
	Path    *string `key:"path" is:"template" required:"true" doc:"The mount point; none for swap."`
	Type    *string `key:"type" is:"template" default:"auto" doc:"The file system's type."`
	Options *string `key:"options" is:"template" default:"defaults" doc:"Mount options, with commas."`
	Dump    *int    `key:"dump" is:"count" default:"0" doc:"fs_freq of fstab(5)."`
	Pass    *int    `key:"pass" is:"count" default:"0" doc:"fs_passno of fstab(5)."`
}

type hostnameDecl struct {
	site
	Name   *string `key:"name" is:"template" doc:"The host name; the machine's name if absent."`
	Domain *string `key:"domain" is:"template" doc:"The domain, for /etc/hosts."`
}

type machineIDDecl struct {
	site
	Value *string `key:"value" is:"template" doc:"32 hex digits; machine_id if absent; else generated once and kept on the stage."`
}

type sshHostKeysDecl struct {
	site
	Types []string `key:"types" is:"key-type" default:"[\"ed25519\", \"rsa\"]" doc:"Kinds of keys."`
}

type authorizedKeysDecl struct {
	User []userDecl `key:"user" doc:"Users."`
}

type userDecl struct {
	site
	User    *string  `key:"user" is:"user" required:"true" doc:"The user's name."`
	Owner   *string  `key:"owner" is:"owner" doc:"Numeric uid:gid; required but for root."`
	Home    *string  `key:"home" is:"absolute-path" doc:"The home folder; /root or /home/USER if absent."`
	Keys    []string `key:"keys" is:"public-key" doc:"Public keys."`
	Sources []string `key:"sources" is:"repo-path" doc:"Files in the repo with public keys, one a line."`
}

type resolvConfDecl struct {
	site
	Nameservers []string `key:"nameservers" is:"ip" doc:"Addresses of name servers."`
	Search      []string `key:"search" is:"word" doc:"Domains to search."`
	Options     []string `key:"options" is:"word" doc:"Options of resolv.conf(5)."`
	Link        *string  `key:"link" is:"link" doc:"Make it a symbolic link to this instead."`
}

// builtinNames are the hooks that gitboot knows without a declaration.
func builtinNames() []string {
	return []string{"authorized-keys", "fstab", "hostname", "machine-id", "resolv-conf", "ssh-host-keys"}
}
