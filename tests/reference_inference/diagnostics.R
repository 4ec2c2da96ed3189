# Leverages, influence by refits and principal components as R gives them: Rscript diagnostics.R writes diagnostics.json
# beside this file. lme4 1.1-31, jsonlite.
suppressMessages({library(lme4); library(jsonlite)})
tight <- lmerControl(optCtrl = list(xtol_abs = 1e-11, ftol_abs = 1e-12, xtol_rel = 1e-11, maxeval = 1e5))
slopes <- lmer(Reaction ~ Days + (Days | Subject), sleepstudy, control = tight)
weighted <- lmer(Reaction ~ Days + (Days || Subject), sleepstudy, weights = rep(c(1, 2.5, .4), 60), control = tight)
crossed <- lmer(diameter ~ 1 + (1 | plate) + (1 | sample), Penicillin, control = tight)
herds <- glmer(cbind(incidence, size - incidence) ~ period + (1 | herd), cbpp, family = binomial,
               control = glmerControl("nloptwrap", tolPwrss = 1e-12, optCtrl = tight$optCtrl))
# the hat matrix of the working linear model; hatvalues(herds) "may not make sense for GLMMs"
working <- function(m) {
  columns <- cbind(as.matrix(getME(m, "Z") %*% getME(m, "Lambda")), getME(m, "X"))
  w <- weights(m, "working")
  penalty <- diag(rep(1:0, c(ncol(getME(m, "Z")), ncol(getME(m, "X")))))
  unname(w * rowSums((columns %*% solve(crossprod(columns, w * columns) + penalty)) * columns))
}
deleted <- influence(slopes, groups = "Subject")
result <- list(
  hatvalues = list(slopes = unname(hatvalues(slopes)), weighted = unname(hatvalues(weighted)),
                   crossed = unname(hatvalues(crossed)), herds = working(herds)),
  subject_influence = list(subject = levels(sleepstudy$Subject), cooks_distance = unname(cooks.distance(deleted)),
                           dfbeta = unname(dfbeta(deleted)), dfbetas = unname(dfbetas(deleted))),
  pca = lapply(rePCA(slopes), function(p) list(sdev = p$sdev, rotation = unname(p$rotation))))
file <- sub("--file=", "", grep("--file=", commandArgs(FALSE), value = TRUE))
write_json(result, file.path(dirname(file), "diagnostics.json"), digits = NA, auto_unbox = TRUE)
