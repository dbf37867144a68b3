package initramfs

// verity verifies layers while they are read. It is not carried where no layer is
// verified: the modules would double what a small initramfs has.
func verity() feature {
	return feature{
		name:      `verifying layers (verity = "report" or "enforce")`,
		required:  []string{"dm_mod", "dm_verity"},
		options:   []string{"CONFIG_BLK_DEV_DM", "CONFIG_DM_VERITY"},
		otherwise: `, or declare verity = "off" for it`,
	}
}
