# One process of the benchmark of many responses: lme4's refit() in a loop, prints the CPU seconds per response as JSON.
#
#   Rscript many.R TABLE.csv FORMULA FAMILY
#
# The table holds the design and the responses response0, response1, ... Fitting the first does not count; the loop is
# done once to warm R's compiler.
suppressPackageStartupMessages(library(lme4))

arguments <- commandArgs(TRUE)
table <- read.csv(arguments[1], stringsAsFactors = FALSE)
for (name in intersect(c("Subject", "plate", "sample", "BROOD", "YEAR"), names(table)))
  table[[name]] <- factor(table[[name]])
formula <- as.formula(paste("response0 ~", arguments[2]))
responses <- table[grep("^response", names(table))]

quiet <- function(expression) suppressMessages(suppressWarnings(expression))
fit <- quiet(if (arguments[3] == "gaussian") lmer(formula, table) else glmer(formula, table, family = arguments[3]))
loop <- function() for (y in responses) quiet(refit(fit, y))
loop()
spent <- system.time(loop())
cat(sprintf('{"cpu": %.9g}\n', (spent[["user.self"]] + spent[["sys.self"]]) / length(responses)))
