complete --keep-order --exclusive --command wharfie --arguments "(COMPLETE=fish wharfie -- (commandline --current-process --tokenize --cut-at-cursor) (commandline --current-token))"
