# Turns a CSV table into an R data frame:  Rscript prepare.R TABLE.csv TABLE.rds FACTOR,FACTOR,...
arguments <- commandArgs(TRUE)
factors <- strsplit(arguments[3], ",")[[1]]
table <- read.csv(arguments[1])
table[factors] <- lapply(table[factors], factor)
saveRDS(table, arguments[2])
